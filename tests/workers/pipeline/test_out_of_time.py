"""A task that runs out of time: what it had goes to a smaller try, and no event is blamed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import text

from db.queue import inbox
from db.queue.stream import GROUP, STREAM
from tests.pipeline import a_delivery, balances, put, statuses
from tests.stripe_objects import a_session, an_event
from workers.context import WorkerContext
from workers.pipeline.apply import apply
from workers.pipeline.batch import BATCH, BatchSize
from workers.pipeline.drain import drain
from workers.pipeline.prepared_event import PreparedEvent
from workers.pipeline.takeover import POISON_DELIVERIES

COUNT = 60


@pytest.fixture
def context(context: WorkerContext) -> WorkerContext:
    """A process that has just begun."""
    return replace(context, size=BatchSize())


def packages(count: int = COUNT) -> list[dict[str, Any]]:
    """So many packages, sold to so many users."""
    return [
        an_event(
            "checkout.session.completed",
            a_session(id=f"cs_{n}", payment_intent=f"pi_{n}", client_reference_id=f"user_{n}"),
            event_id=f"evt_{n}",
        )
        for n in range(count)
    ]


def run_out_where(
    monkeypatch: pytest.MonkeyPatch, ends: Callable[[list[PreparedEvent]], bool]
) -> list[int]:
    """Let the time be up in every transaction of which `ends` is true; returns their sizes."""
    tried: list[int] = []

    def slow(engine: Any, works: Any, *rest: Any, **more: Any) -> Any:
        if ends(list(works)):
            tried.append(len(works))
            raise SoftTimeLimitExceeded
        return apply(engine, works, *rest, **more)

    monkeypatch.setattr("workers.pipeline.batch.apply", slow)
    return tried


def handed_out(redis_client: redis.Redis) -> set[int]:
    """How often the entries that are in hand have been handed out."""
    pending: Any = redis_client.xpending_range(STREAM, GROUP, "-", "+", 10_000)
    return {row["times_delivered"] for row in pending}


def blamed(context: WorkerContext) -> int:
    """How many tries are counted, of stored events or in the list of attempts."""
    query = text(
        "SELECT (SELECT count(*) FROM event_attempts)"
        " + (SELECT coalesce(sum(attempts), 0) FROM webhook_events WHERE status <> 'applied')"
    )
    with context.engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def test_a_batch_of_the_stream_is_given_back_and_is_smaller_next_time(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    """Handed out as if never; the next drain is asked for and gets through."""
    tried = run_out_where(monkeypatch, lambda works: len(works) > 10)
    put(context, packages())
    sent: list[int] = []
    assert drain(context, lambda: sent.append(1)).applied == 0
    assert (sent, tried, handed_out(redis_client)) == ([1], [COUNT], {0})
    assert drain(context, lambda: sent.append(1)).applied == COUNT
    assert (tried, blamed(context)) == ([COUNT], 0)
    assert balances(context.engine) == {"user_1": COUNT * 1_000}


def test_stored_events_are_given_back_at_once_and_uncounted(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process could take them before this one runs again."""
    tried = run_out_where(monkeypatch, lambda works: len(works) > 10)
    with context.engine.begin() as connection:
        inbox.store(connection, [a_delivery(event) for event in packages()], source="webhook")
    drain(context, lambda: None)
    assert (tried, context.left, blamed(context)) == ([COUNT], [], 0)
    with context.engine.connect() as connection:
        assert inbox.is_due(connection)
    for _ in range(10):
        drain(context, lambda: None)
    assert set(statuses(context.engine).values()) == {"applied"}
    assert blamed(context) == 0
    # It grew again until it was too much again.
    assert len(tried) > 1
    assert max(tried[1:]) < COUNT


def test_one_that_takes_all_the_time_alone_is_found_and_blames_no_neighbour(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a few tries; it is put by only after it was tried alone again and again."""
    slow = "evt_37"
    tried = run_out_where(
        monkeypatch,
        # What is only recorded is not looked into.
        lambda works: slow in {work.delivery.event_id for work in works if work.facts},
    )
    put(context, packages())
    for _ in range(4):
        drain(context, lambda: None)
    assert tried == [60, 7, 1, 1]
    for _ in range(10):
        drain(context, lambda: None)
    found = statuses(context.engine)
    assert found.pop(slow) == "failed"
    assert set(found.values()) == {"applied"}
    assert len(found) == COUNT - 1
    assert set(tried[2:]) == {1}
    assert len(tried[2:]) == POISON_DELIVERIES - 1


def test_a_size_comes_back_step_by_step() -> None:
    """From one event to a full batch, and never below one."""
    size = BatchSize()
    for tried in (BATCH, 40, 3, 1):
        size.cut(tried)
    assert size.events == 1
    for _ in range(12):
        size.grow()
    assert size.events == BATCH
