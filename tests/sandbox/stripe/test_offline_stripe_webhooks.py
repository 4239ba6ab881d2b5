"""The offline Stripe's webhooks: signed, repeated until accepted, and disturbed on request."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import stripe

from dev.faults.local_server import serving
from tests.offline_stripe import GOOD, SECRET, Offline, offline_stripe


@dataclass
class Receiver:
    """What was posted, and how many posts are to be refused first."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    refuse: int = 0

    @property
    def ids(self) -> list[str]:
        """The ids of the events as they came."""
        return [json.loads(body)["id"] for body in self.bodies]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            refused = receiver.refuse > 0
            if refused:
                receiver.refuse -= 1
            else:
                receiver.bodies.append(body)
                receiver.signatures.append(self.headers["Stripe-Signature"])
            self.send_response(503 if refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
            """Say nothing."""

    with serving(Handler) as address:
        receiver.url = f"{address}/hook"
        yield receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of its own."""
    with receiving() as made:
        yield made


@pytest.fixture
def offline(tmp_path: Path, receiver: Receiver) -> Iterator[Offline]:
    """An account that posts to the receiver."""
    with offline_stripe(tmp_path / "stripe.sqlite", webhook_url=receiver.url) as served:
        yield served


def wait_for(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def buy(offline: Offline) -> list[str]:
    """Buy a package; the ids of all events so far."""
    session = offline.session(offline.price(500, interval=None), offline.customer())
    offline.world.pay(session, GOOD)
    return [one.event.id for one in offline.world.log.posted]


def test_events_arrive_in_order_with_signatures_the_sdk_accepts(
    offline: Offline, receiver: Receiver
) -> None:
    """Signed at the moment of sending; the list says that they were delivered."""
    ids = buy(offline)
    wait_for(lambda: len(receiver.bodies) == len(ids))
    assert receiver.ids == ids
    for body, signature in zip(receiver.bodies, receiver.signatures, strict=True):
        assert stripe.WebhookSignature.verify_header(body.decode(), signature, SECRET, 300)
    wait_for(lambda: {line.delivery for line in offline.world.dashboard().events} == {"delivered"})
    event = offline.client.v1.events.retrieve(ids[0])
    assert event.pending_webhooks == 0


def test_what_is_not_accepted_is_posted_again_and_signed_anew(
    offline: Offline, receiver: Receiver
) -> None:
    """503 twice, then everything arrives once."""
    receiver.refuse = 2
    ids = buy(offline)
    wait_for(lambda: len(receiver.bodies) == len(ids))
    assert sorted(receiver.ids) == sorted(ids)
    attempts = {line.id: line.attempts for line in offline.world.dashboard().events}
    wait_for(lambda: sum(one.attempts for one in offline.world.log.posted) == len(ids) + 2)
    assert max(attempts.values()) >= 1


def test_duplicates_are_posted_again(offline: Offline, receiver: Receiver) -> None:
    """With certainty 1, four times each."""
    offline.world.set_switches(duplicates=1.0)
    ids = buy(offline)
    wait_for(lambda: len(receiver.bodies) == 4 * len(ids))
    assert set(Counter(receiver.ids).values()) == {4}


def test_lost_events_are_listed_and_never_posted(offline: Offline, receiver: Receiver) -> None:
    """They are found by whoever asks for the events list."""
    offline.world.set_switches(loss=1.0)
    lost = buy(offline)
    offline.world.set_switches(loss=0.0)
    last = offline.customer("last")
    wait_for(lambda: len(receiver.bodies) == 1)
    assert json.loads(receiver.bodies[0])["data"]["object"]["id"] == last
    listed = [one.id for one in offline.client.v1.events.list({"limit": 100}).data]
    assert set(lost) < set(listed)
    assert {line.delivery for line in offline.world.dashboard().events} == {"lost", "delivered"}


def test_shuffled_events_all_arrive_in_another_order(offline: Offline, receiver: Receiver) -> None:
    """None is lost; with this many, the same order is out of the question."""
    offline.world.set_switches(shuffle=True)
    buy(offline)
    ids = buy(offline)
    wait_for(lambda: len(receiver.bodies) == len(ids))
    assert sorted(receiver.ids) == sorted(ids)
    assert receiver.ids != ids


def test_delayed_events_wait(offline: Offline, receiver: Receiver) -> None:
    """Nothing for as long as was asked for, then all."""
    offline.world.set_switches(delay_seconds=0.6)
    began = time.monotonic()
    offline.customer()
    wait_for(lambda: len(receiver.bodies) == 1)
    assert time.monotonic() - began >= 0.6


def test_what_was_not_delivered_is_posted_after_a_restart(tmp_path: Path) -> None:
    """Nobody listens; the next life of the account delivers it, and nothing twice."""
    path = tmp_path / "stripe.sqlite"
    with receiving() as gone:
        dead = gone.url
    with offline_stripe(path, webhook_url=dead) as offline:
        ids = buy(offline)
        wait_for(lambda: offline.world.log.posted[0].attempts > 0)
    with receiving() as receiver, offline_stripe(path, webhook_url=receiver.url):
        wait_for(lambda: len(receiver.bodies) == len(ids))
        time.sleep(0.1)
        assert receiver.ids == ids
