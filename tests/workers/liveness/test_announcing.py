"""A worker says what it reads from its start to its end, on a real Redis."""

import threading
from collections.abc import Iterator

import pytest
import redis

from db.bodies import NEWEST
from db.queue.formats import Readers
from tests.ingest.builders import ENVIRONMENT
from workers.liveness import announcing, consumer_id


@pytest.fixture
def readers(
    redis_client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Readers]:
    """Nobody has announced anything, and no thread of another test ends with this one."""
    for name, value in (ENVIRONMENT | {"REDIS_URL": redis_url}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(announcing, "_ends", ends := threading.Event())
    monkeypatch.setattr(announcing, "ANNOUNCE_EVERY_SECONDS", 0.05)
    redis_client.flushdb()
    yield Readers(redis_client)
    ends.set()


def test_it_announces_before_its_first_event_and_withdraws_in_the_end(readers: Readers) -> None:
    """So that nobody waits for it to run out."""
    announcing.announce()
    assert readers.live() == {consumer_id.own_name(): NEWEST}
    announcing.withdraw()
    assert (readers.live(), readers.dictionary()) == ({}, NEWEST)


def test_it_goes_on_announcing(readers: Readers) -> None:
    """Also to a Redis that has forgotten, until it ends."""
    announcing.start_announcing()
    name = consumer_id.own_name()
    for _ in range(100):
        if readers.live() == {name: NEWEST}:
            break
        threading.Event().wait(0.05)
    else:
        pytest.fail("it announces nothing")
    announcing.withdraw()
    threading.Event().wait(0.3)
    readers.withdraw(name)
    threading.Event().wait(0.3)
    assert readers.live() == {}


def test_without_redis_it_starts_and_ends_all_the_same(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are in the inbox then, and somebody must apply them."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    announcing.announce()
    announcing.withdraw()
    assert readers.live() == {}
