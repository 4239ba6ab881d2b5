"""What the live workers read decides what is written, on a real Redis."""

from collections.abc import Iterator

import pytest
import redis

from db import bodies
from db.bodies import OLDEST
from db.queue import formats
from db.queue.formats import Follower, Readers
from db.queue.stream import connect

NEWER = OLDEST + 1


@pytest.fixture(autouse=True)
def writes_as_ever() -> Iterator[None]:
    """What a test chose is forgotten after it."""
    yield
    bodies.write_with(OLDEST)


@pytest.fixture
def readers(client: redis.Redis) -> Readers:
    """Nobody has announced anything."""
    return Readers(client)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers that this process was told to write with, in their order."""
    told: list[int] = []

    def write_with(limit: int) -> int:
        told.append(limit)
        return limit

    monkeypatch.setattr(bodies, "write_with", write_with)
    return told


def age(client: redis.Redis, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Let so much time pass by Redis' clock."""
    now = client.time()[0]
    monkeypatch.setattr(Readers, "_now", lambda _self: now + seconds)


def test_nobody_has_said_anything(readers: Readers) -> None:
    """Then nothing is known, and the oldest dictionary is written with."""
    assert readers.dictionary() is None
    assert readers.live() == {}


def test_the_worker_that_reads_least_decides(readers: Readers) -> None:
    """Until it ends."""
    readers.announce("new", NEWER)
    assert readers.dictionary() == NEWER
    readers.announce("old", OLDEST)
    assert readers.dictionary() == OLDEST
    readers.withdraw("old")
    assert readers.dictionary() == NEWER


def test_a_worker_that_died_is_waited_for_and_then_forgotten(
    readers: Readers, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot say that it ended; what it said stays for an hour, in case its clock was wrong."""
    readers.announce("old", OLDEST)
    age(client, monkeypatch, formats.EXPIRES_SECONDS - 1)
    readers.announce("new", NEWER)
    assert readers.dictionary() == OLDEST
    age(client, monkeypatch, formats.EXPIRES_SECONDS + 2)
    assert readers.dictionary() == NEWER
    assert client.hlen(formats.KEY) == 2
    age(client, monkeypatch, formats.EXPIRES_SECONDS + 3_602)
    assert readers.live() == {}
    assert client.hkeys(formats.KEY) == [b"new"]


def test_where_none_lives_the_last_ones_still_count(
    readers: Readers, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they said goodbye or not."""
    readers.announce("one", NEWER)
    readers.withdraw("one")
    assert (readers.live(), readers.dictionary()) == ({}, NEWER)
    readers.announce("two", OLDEST)
    age(client, monkeypatch, formats.EXPIRES_SECONDS + 2)
    assert (readers.live(), readers.dictionary()) == ({}, OLDEST)


def test_a_process_follows_the_workers(readers: Readers, chosen: list[int]) -> None:
    """From the oldest, which holds where nobody has said anything."""
    follower = Follower(readers, 2**31)
    follower.ask()
    readers.announce("new", NEWER)
    follower.ask()
    readers.announce("old", OLDEST)
    follower.ask()
    assert chosen == [OLDEST, NEWER, OLDEST]


@pytest.mark.parametrize("limit", [0, OLDEST])
def test_the_setting_holds_back_what_every_worker_reads(
    readers: Readers, chosen: list[int], limit: int
) -> None:
    """For one release, so that the one before it can come back."""
    readers.announce("new", NEWER)
    Follower(readers, limit).ask()
    assert chosen == [limit]


def test_a_redis_that_is_away_for_long_means_the_oldest(
    readers: Readers, chosen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short absence changes nothing; in a long one an older worker cannot say that it came."""
    now = [1_000.0]
    follower = Follower(readers, 2**31, clock=lambda: now[0])
    readers.announce("new", NEWER)
    follower.ask()
    nobody = connect("redis://127.0.0.1:1/0")
    monkeypatch.setattr(readers, "_client", nobody)
    now[0] += formats.EXPIRES_SECONDS - 1
    follower.ask()
    assert chosen == [NEWER]
    now[0] += 2
    follower.ask()
    assert chosen == [NEWER, OLDEST]


def test_a_command_asks_once(readers: Readers, redis_url: str, chosen: list[int]) -> None:
    """And leaves no connection open."""
    readers.announce("new", NEWER)
    formats.ask_once(redis_url, 2**31)
    assert chosen == [NEWER]
