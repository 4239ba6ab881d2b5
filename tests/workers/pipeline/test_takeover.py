"""Whose entries are taken over at once, and whose only when their lease has run out."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from sqlalchemy import create_engine, exc

from db.queue.stream import GROUP, LEASE_MS, STREAM, WAKE_UP, EventStream, StreamMessage, connect
from tests.pipeline import a_worker_context, put, sell, statuses
from tests.play import CATALOGUE
from tests.stripe_objects import a_session, an_event
from workers.context import WorkerContext
from workers.pipeline.drain import SECONDS_MAX, drain
from workers.pipeline.takeover import QUARANTINE_DELIVERIES

DEAD, LIVING = "a worker that died", "a worker that lives"


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker that knows for certain who is dead."""
    context = a_worker_context(database_url, redis_url)
    sell(context.engine, CATALOGUE)
    yield replace(context, is_gone=lambda name: name == DEAD)
    context.engine.dispose()


def packages(count: int) -> list[dict[str, Any]]:
    """So many packages, sold to so many users."""
    return [
        an_event(
            "checkout.session.completed",
            a_session(id=f"cs_{n}", payment_intent=f"pi_{n}", client_reference_id=f"user_{n}"),
        )
        for n in range(count)
    ]


def held_by(context: WorkerContext, consumer: str, count: int = 2) -> None:
    """Let a consumer read so many events, and go no further."""
    put(context, packages(count))
    context.events.create_group()
    assert len(context.events.read(consumer, 10_000)) == count


def consumers(redis_client: redis.Redis) -> set[str]:
    """Everyone the group knows of."""
    members: Any = redis_client.xinfo_consumers(STREAM, GROUP)
    return {about["name"].decode() for about in members}


def times_handed_out(redis_client: redis.Redis) -> set[int]:
    """How often the entries that are in hand have been handed out."""
    pending: Any = redis_client.xpending_range(STREAM, GROUP, "-", "+", 10_000)
    return {row["times_delivered"] for row in pending}


def nobody() -> None:
    """No wake-up arrives."""


def test_what_a_process_held_that_is_certainly_dead_is_applied_at_once(
    context: WorkerContext, redis_client: redis.Redis
) -> None:
    """Nobody waits for a lease of the dead, and their names do not pile up."""
    held_by(context, DEAD)
    assert drain(context, nobody).applied == 2
    assert context.events.length() == 0
    assert DEAD not in consumers(redis_client)


def test_more_than_one_batch_is_taken_over(context: WorkerContext) -> None:
    """A dead worker may have had several in hand."""
    held_by(context, DEAD, count=5)
    first = context.events.take_over(DEAD, "another", 3)
    second = context.events.take_over(DEAD, "another", 3)
    assert [len(first), len(second), len(context.events.take_over(DEAD, "another", 3))] == [3, 2, 0]
    assert not {entry.entry_id for entry in first} & {entry.entry_id for entry in second}


def test_what_may_be_in_living_hands_is_left_there(context: WorkerContext) -> None:
    """Until the lease has run out: a slow worker keeps what it has."""
    held_by(context, LIVING)
    assert drain(context, nobody).applied == 0
    assert context.events.length() == 2
    assert context.events.holders() == [LIVING]


def test_what_a_drain_of_this_process_left_is_taken_up_by_its_next(context: WorkerContext) -> None:
    """A drain that was broken off by an error is over: nobody else has its entries."""
    held_by(context, context.consumer)
    assert drain(context, nobody).applied == 2


def test_while_the_database_is_away_entries_are_given_back_and_nobody_is_blamed(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    """Anyone may take them as soon as it is back, however often that was in vain."""
    put(context, packages(2))

    def broken(*_: object, **__: object) -> None:
        raise exc.OperationalError("INSERT", {}, Exception("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr("workers.pipeline.batch.apply", broken)
        patch.setattr("workers.pipeline.batch.TRANSIENT_WAITS_SECONDS", ())
        for _ in range(QUARANTINE_DELIVERIES + 2):
            assert drain(context, nobody).applied == 0
            assert times_handed_out(redis_client) == {0}
    another = replace(context, consumer="another")
    assert drain(another, nobody).applied == 2
    assert set(statuses(context.engine).values()) == {"applied"}


def test_a_drain_that_finds_no_database_is_asked_for_again_within_a_second(
    context: WorkerContext, redis_client: redis.Redis
) -> None:
    """A wake-up of that time was in vain, and must not keep the next from being sent."""
    nowhere = create_engine("postgresql+psycopg2://127.0.0.1:1/none")
    assert context.events.request_wake_up()
    drain(replace(context, engine=nowhere), nobody)
    left: Any = redis_client.pttl(WAKE_UP)
    assert 0 < left <= 1_000


def test_a_drain_without_database_and_redis_ends_quietly(context: WorkerContext) -> None:
    """Both come back by themselves."""
    nowhere = create_engine("postgresql+psycopg2://127.0.0.1:1/none")
    gone = EventStream(connect("redis://127.0.0.1:1", timeout_seconds=0.1))
    context = replace(context, engine=nowhere, events=gone)
    assert drain(context, nobody).batches == 0


def test_what_was_acknowledged_halfway_is_nobodys_burden(
    context: WorkerContext, redis_client: redis.Redis
) -> None:
    """A Redis that died between the two halves leaves nothing that waits for ever."""
    held_by(context, LIVING)
    client: Any = redis_client
    client.xdel(STREAM, *(key for key, _ in client.xrange(STREAM)))
    assert context.events.length() == 0
    assert context.events.take_over_stale("another", 10, lease_ms=0) == []
    assert context.events.holders() == []


def test_the_lease_is_over_before_30_seconds_are() -> None:
    """With a sweep every 2 s, the promise for those of whom nothing is known."""
    assert LEASE_MS <= 27_000


class LosesAnswers(EventStream):
    """Redis does what it is asked, and its answer to a read is lost; for a while it is away."""

    def __init__(self, client: redis.Redis, looks_in_vain: int) -> None:
        super().__init__(client)
        self._left = looks_in_vain
        self.is_away = False

    def read(self, *arguments: Any, **options: Any) -> list[StreamMessage]:
        """Hand out what nobody hears of."""
        if super().read(*arguments, **options):
            self.is_away = True
            raise redis.TimeoutError
        return []

    def holders(self) -> list[str]:
        """Who holds something, once Redis is back."""
        if self.is_away and self._left:
            self._left -= 1
            raise redis.ConnectionError
        return super().holders()


@pytest.mark.parametrize("looks_in_vain", [0, 2])
def test_a_drain_whose_read_was_lost_applies_what_it_was_handed_out(
    context: WorkerContext, redis_client: redis.Redis, looks_in_vain: int
) -> None:
    """It does not leave that to a lease, for the next drain may be another process's."""
    put(context, packages(3))
    lossy = LosesAnswers(redis_client, looks_in_vain)
    assert drain(replace(context, events=lossy), nobody).applied == 3
    assert lossy.is_away
    assert context.events.length() == 0


def test_a_drain_that_cannot_begin_at_redis_waits_for_nothing(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has been handed out nothing."""
    put(context, packages(1))

    def away(*_: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(context.events, "hold_wake_up", away)
    began = time.monotonic()
    assert drain(context, nobody).applied == 0
    assert time.monotonic() - began < SECONDS_MAX / 2
