"""The events that everything is measured with: realistic, the same in every run, signed for real.

They are what `sandbox.simulate` makes Stripe send, of the types that the product handles, in the
order in which they happened, so many customers are interleaved. Merchants' metadata brings them
to a mean of 5 kB, which is what such events weigh.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import orjson

from domain.decode import DECODERS
from domain.events import Delivery
from sandbox.simulate.account import Account
from sandbox.simulate.delivery import PATH, signature_header
from sandbox.simulate.engine import Event
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.reversing import REVERSING
from sandbox.simulate.selling import SELLING
from sandbox.simulate.versions import BY_CHOICE

SEED = 5
# 1 September 2026: a fixed day, so that the bytes are the same in every run.
TODAY = 1_788_220_800
# A customer causes some ten handled events.
EVENTS_A_CUSTOMER = 9
METADATA_BYTES = 930
# The stories that every published figure was measured with; new ones would move the figures.
STORIES = {**SELLING, **REVERSING}
CHUNK = 20_000

_TEXT = (
    "blue running shoes size large order shipped from warehouse north express gift wrapped please "
    "ring twice newsletter spring campaign banner checkout returning customer loyalty gold voucher "
    "partner referral invoice department marketing account cost centre approved by team lead"
)
_WORDS = _TEXT.split()


def events(count: int, run: str) -> list[Event]:
    """So many events in the order they happened; another `run` has other ids throughout."""
    account = _played(count, run)
    handled = sorted(
        (event for event in account.events if event.type in DECODERS),
        key=lambda event: event.created,
    )
    if len(handled) < count:
        raise ValueError(f"there are only {len(handled)} of {count} events to handle")
    return [_filled(event) for event in handled[:count]]


def ignored(count: int, run: str) -> list[Event]:
    """So many events of the types that the product has no use for, in order, of the same weight."""
    # A customer causes fewer of them.
    account = _played(2 * count, run)
    others = sorted(
        (event for event in account.events if event.type not in DECODERS),
        key=lambda event: event.created,
    )
    if len(others) < count:
        raise ValueError(f"there are only {len(others)} of {count} events to ignore")
    return [_filled(event) for event in others[:count]]


def without(chosen: Sequence[Event], types: frozenset[str]) -> list[Event]:
    """The events that are of no such type."""
    return [event for event in chosen if event.type not in types]


def chunks(count: int, run: str) -> Iterator[list[Event]]:
    """As `events`, for more than memory should hold: one independent account after the other."""
    for number, start in enumerate(range(0, count, CHUNK)):
        yield events(min(CHUNK, count - start), f"{run}{number}")


def deliveries(chosen: Sequence[Event], compress: Callable[[bytes], bytes]) -> list[Delivery]:
    """The events as the receiver would hand them on now."""
    now_ms = int(time.time() * 1000)
    return [
        Delivery(event.id, event.type, event.created, now_ms, compress(event.body))
        for event in chosen
    ]


def requests(chosen: Sequence[Event], secret: str) -> list[bytes]:
    """Whole HTTP requests, signed now: good for the next five minutes."""
    now = int(time.time())
    return [_request(event.body, signature_header(event.body, secret, now)) for event in chosen]


def mean_bytes(chosen: Sequence[Event]) -> float:
    """How large an event is on average."""
    return sum(len(event.body) for event in chosen) / len(chosen)


def _played(count: int, run: str) -> Account:
    """An account with customers enough for so many handled events."""
    account = Account(seed=SEED, run=run, starts_at=TODAY)
    play(
        account,
        read_file(SAMPLE_PLANS),
        BY_CHOICE["mixed"],
        customers=max(30, count // EVENTS_A_CUSTOMER),
        today=TODAY,
        stories=STORIES,
    )
    return account


def _request(body: bytes, signature: str) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        "User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
        "Accept: */*; q=0.5, application/xml\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Stripe-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _filled(event: Event) -> Event:
    payload = event.payload
    subject = payload["data"]["object"]
    subject["metadata"] = (subject.get("metadata") or {}) | _metadata(event.id)
    return replace(event, body=orjson.dumps(payload, option=orjson.OPT_INDENT_2))


def _metadata(event_id: str) -> dict[str, str]:
    """What a shop notes of an order: an id of its own and some words."""
    chance = random.Random(event_id)  # noqa: S311 - it fills a text, no secret.
    found = {"order_ref": f"{chance.getrandbits(128):032x}"}
    size = 0
    while size < METADATA_BYTES - 120:
        words = " ".join(chance.choices(_WORDS, k=24))
        found[f"note_{len(found)}"] = words
        size += len(words) + 24
    return found
