"""Signs events as Stripe does and posts them to the receiver, several at once, some again.

Each delivery is signed when it is sent, so the signature's time is now while the event may be a
year old. What the receiver answers with 5xx is sent again, as Stripe would; never waits for
effects.
"""

import hashlib
import hmac
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from sandbox.simulate.engine import Event
from sandbox.simulate.wire import BROKEN, Wire

PATH = "/billing/stripe/webhook/"
# Stripe repeats itself, but not for ever.
_COPIES_MAX = 3
_ATTEMPTS_MAX = 12
_PAUSE_SECONDS_MAX = 5.0


class DeliveryError(Exception):
    """The receiver refuses good events, so there is no point in sending more."""


@dataclass(slots=True)
class Tally:
    """What came of one lane's deliveries."""

    accepted: int = 0
    retried: int = 0
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of all deliveries; times are seconds of the monotonic clock."""

    sent: int
    duplicates: int
    accepted: int
    retried: int
    given_up: int
    began: float
    ended: float


def signature_header(body: bytes, secret: str, timestamp: int) -> str:
    """Return the `Stripe-Signature` header of a body sent at a time in Unix seconds."""
    signed = b"%d.%b" % (timestamp, body)
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def plan_lanes(
    events: Sequence[Event],
    *,
    lanes: int,
    duplicates: float,
    shuffle: bool,
    chance: random.Random,
) -> list[list[Event]]:
    """Share deliveries among lanes, each sent one after the other.

    In order, one user's events keep to one lane; shuffled, they go anywhere. A copy goes out at
    once with its original, on another lane, or at any later time.
    """
    order = sorted(events, key=lambda event: event.created)
    if shuffle:
        chance.shuffle(order)
    placed: list[tuple[float, int, Event]] = []
    for position, event in enumerate(order):
        lane = position if shuffle else crc32(event.user_id.encode())
        placed.append((position, lane, event))
        for copy in range(1, _COPIES_MAX + 1):
            if chance.random() >= duplicates:
                break
            at_once = chance.choice((True, False))
            when = position if at_once else chance.uniform(position, len(order))
            placed.append((when, lane + copy, event))
    queues: list[list[Event]] = [[] for _ in range(lanes)]
    for _, lane, event in sorted(placed, key=lambda place: place[0]):
        queues[lane % lanes].append(event)
    return queues


@dataclass(slots=True)
class Pace:
    """Lets deliveries out one after the other, whichever lane they are on."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: float = 0.0

    def wait(self, rate: float | None) -> None:
        """Wait for this delivery's turn, at no more than `rate` a second; none: no wait at all."""
        if not rate:
            return
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + 1 / rate
        time.sleep(max(0.0, turn - time.monotonic()))


class Delivery:
    """A postman with several lanes to one receiver."""

    def __init__(self, base_url: str, secret: str, *, rate: float | None = None) -> None:
        self._base_url = base_url
        self._secret = secret
        self._rate = rate
        self._pace = Pace()
        self._stop = threading.Event()
        self._refusal: str | None = None

    def send(
        self, queues: Sequence[Sequence[Event]], events: int, progress: Callable[[int], None]
    ) -> Delivered:
        """Send every queue on its own lane; `progress` is told how many were accepted.

        Raises DeliveryError when the receiver refuses a signed event for good.
        """
        tallies = [Tally() for _ in queues]
        began = time.monotonic()
        threads = [
            threading.Thread(target=self._lane, args=(queue, tally), daemon=True)
            for queue, tally in zip(queues, tallies, strict=True)
        ]
        for thread in threads:
            thread.start()
        self._watch(threads, tallies, progress)
        ended = time.monotonic()
        if self._refusal is not None:
            raise DeliveryError(self._refusal)
        sent = sum(map(len, queues))
        return Delivered(
            sent=sent,
            duplicates=sent - events,
            accepted=sum(tally.accepted for tally in tallies),
            retried=sum(tally.retried for tally in tallies),
            given_up=sum(tally.given_up for tally in tallies),
            began=began,
            ended=ended,
        )

    def _watch(
        self,
        threads: Sequence[threading.Thread],
        tallies: Sequence[Tally],
        progress: Callable[[int], None],
    ) -> None:
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
                    progress(sum(tally.accepted for tally in tallies))
        finally:
            # An interrupted command must not keep on posting.
            self._stop.set()

    def _lane(self, queue: Sequence[Event], tally: Tally) -> None:
        wire = Wire(self._base_url)
        try:
            for event in queue:
                self._pace.wait(self._rate)
                if self._stop.is_set():
                    return
                self._post(wire, event, tally)
        finally:
            wire.close()

    def _post(self, wire: Wire, event: Event, tally: Tally) -> None:
        for attempt in range(_ATTEMPTS_MAX):
            status, answer = self._attempt(wire, event.body)
            if 200 <= status < 300:  # noqa: PLR2004 - this range is what HTTP calls success.
                tally.accepted += 1
                return
            if 300 <= status < 500 and status != 429:  # noqa: PLR2004 - HTTP's own figures.
                self._refuse(event, status, answer)
                return
            tally.retried += 1
            if self._stop.wait(min(_PAUSE_SECONDS_MAX, 0.1 * 2**attempt)):
                return
        tally.given_up += 1

    def _attempt(self, wire: Wire, body: bytes) -> tuple[int, bytes]:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature_header(body, self._secret, int(time.time())),
        }
        try:
            return wire.request("POST", PATH, headers, body)
        except BROKEN:
            return 599, b""

    def _refuse(self, event: Event, status: int, answer: bytes) -> None:
        said = answer[:300].decode("utf-8", "replace")
        self._refusal = (
            f"the receiver refused {event.type} {event.id} with {status}: {said}\n"
            "Does it run with the same STRIPE_WEBHOOK_SECRET as this command?"
        )
        self._stop.set()
