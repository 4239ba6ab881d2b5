"""The load of a fault run: how fast it sends, and that it is never over too soon."""

import time
from collections.abc import Iterator, Mapping

import pytest

from dev.faults.load import Load
from sandbox.simulate.engine import Event

EVENTS = [Event(f"evt_{number}", "test.event", 0, "cus_1", "user", b"{}") for number in range(400)]


class Accepting:
    """A connection to a receiver that takes everything at once."""

    def request(
        self, _method: str, _path: str, _headers: Mapping[str, str], _body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return what the receiver answers to a good delivery."""
        return 200, b"{}"

    def close(self) -> None:
        """Hang up."""


@pytest.fixture
def load() -> Iterator[Load]:
    """Some five hundred deliveries at 5,000 a second, which would be over in a tenth of one."""
    load = Load("", "whsec_test", EVENTS, rate=5_000, seed=1, connect=Accepting)
    yield load
    load.stop()


def test_a_load_that_is_not_spread_keeps_to_its_rate_and_ends(load: Load) -> None:
    """It is over when all is sent, whoever may still want it."""
    load.start()
    deadline = time.monotonic() + 30
    while load.is_sending and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not load.is_sending
    assert load.answers == {200: load.deliveries}


def test_a_spread_load_outlasts_its_time_and_is_sent_all_the_same(load: Load) -> None:
    """However late the last fault comes, something is still being sent; then comes the rest."""
    load.spread(0.5)
    load.start()
    time.sleep(1.5)
    sent = sum(load.answers.values())
    assert load.is_sending
    assert 0 < sent < load.deliveries
    assert load.finish(30)
    assert load.answers == {200: load.deliveries}
    assert len(load.accepted) == len(EVENTS)


def test_a_spread_load_is_not_sent_faster_than_at_its_rate() -> None:
    """A fault that takes less time than was planned leaves more for after it."""
    load = Load("", "whsec_test", EVENTS, rate=100, seed=1, connect=Accepting)
    load.spread(0.1)
    began = time.monotonic()
    load.start()
    time.sleep(0.5)
    load.stop()
    # One for each lane may be under way when it is stopped.
    assert sum(load.answers.values()) <= 100 * (time.monotonic() - began) + 8


def test_a_rate_that_a_fault_asks_for_is_made_however_little_is_left(load: Load) -> None:
    """A backlog is made by sending much, and after it the rest is spread as before."""
    load.spread(60)
    load.start()
    time.sleep(0.3)
    assert sum(load.answers.values()) < 50
    with load.at_rate(2_000):
        deadline = time.monotonic() + 30
        while sum(load.answers.values()) < 100 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert sum(load.answers.values()) >= 100
    assert load.is_sending
