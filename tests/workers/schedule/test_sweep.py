"""The sweep: whatever waits that nobody works on is found within seconds."""

from typing import Any

import pytest
import redis
from sqlalchemy import text

import celery_config
from db.queue import inbox, stream
from tests.pipeline import a_delivery, balances, let_leases_run_out, put, statuses, work
from tests.stripe_objects import a_session, an_event
from workers import tasks
from workers.context import WorkerContext
from workers.pipeline.drain import drain
from workers.schedule.sweep import sweep

EVENT = an_event("checkout.session.completed", a_session())


def wakes_a_worker(context: WorkerContext) -> bool:
    """Whether a sweep asks for a drain."""
    sent: list[int] = []
    sweep(context, lambda: sent.append(1))
    return bool(sent)


def test_a_stored_event_is_found(context: WorkerContext) -> None:
    """It was accepted while Redis was away."""
    with context.engine.begin() as connection:
        inbox.store(connection, [a_delivery(EVENT)], source="webhook")
    assert wakes_a_worker(context)


def test_a_wake_up_that_was_lost_is_sent_again_by_the_next_sweep(
    context: WorkerContext, redis_client: redis.Redis
) -> None:
    """Not one that was requested just now, which a worker is about to take."""
    put(context, [EVENT])
    redis_client.pexpire(stream.WAKE_UP, 60_000)  # Whatever the machine is slow at, it is new.
    assert not wakes_a_worker(context)
    redis_client.pexpire(
        stream.WAKE_UP,
        stream.WAKE_UP_TTL_SECONDS * 1_000 - round(celery_config.SWEEP_SECONDS * 1_000),
    )
    assert wakes_a_worker(context)


def test_a_retry_is_found_when_it_is_due_and_not_before(context: WorkerContext) -> None:
    """The inbox is the queue of retries."""
    work(context, [an_event("invoice.paid", {"id": "in_8"})])
    assert not wakes_a_worker(context)
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE webhook_events SET next_attempt_at = now()"))
    assert wakes_a_worker(context)


def test_what_a_killed_worker_held_is_found_and_applied(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had read its entries and done nothing more."""
    put(context, [EVENT])
    context.events.create_group()
    context.events.read("a worker that died", 10)
    context.events.client.delete(stream.WAKE_UP)
    let_leases_run_out(context, monkeypatch)
    sweep(context, lambda: drain(context, lambda: None))
    assert balances(context.engine) == {"user_1": 1_000}


def test_a_worker_killed_between_commit_and_acknowledgement_costs_nothing(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry comes back, and is known already."""
    put(context, [EVENT])
    with monkeypatch.context() as patched:
        patched.setattr(context.events, "acknowledge", lambda _ids: None)
        drain(context, lambda: None)
    assert context.events.length() == 1
    let_leases_run_out(context, monkeypatch)
    sweep(context, lambda: drain(context, lambda: None))
    assert context.events.length() == 0
    assert balances(context.engine) == {"user_1": 1_000}
    assert list(statuses(context.engine).values()) == ["applied"]


def test_the_lease_and_the_sweep_together_are_half_a_minute() -> None:
    """So much a killed worker delays its events; and no task outlives the lease."""
    lease_seconds = stream.LEASE_MS / 1_000
    assert lease_seconds + celery_config.SWEEP_SECONDS < 30
    assert lease_seconds > celery_config.TIME_LIMIT_SECONDS


def test_consumers_that_are_gone_are_deleted(
    context: WorkerContext, redis_client: redis.Redis
) -> None:
    """Those that hold nothing; one that holds an entry keeps it, or the entry would be lost."""
    put(context, [EVENT])
    context.events.create_group()
    context.events.read("holds an entry", 10)
    context.events.read("is gone", 10)
    assert context.events.delete_idle_consumers(idle_ms=0) == 1
    left: Any = redis_client.xinfo_consumers(stream.STREAM, stream.GROUP)
    assert [(found["name"], found["pending"]) for found in left] == [(b"holds an entry", 1)]


def test_a_consumer_that_may_come_back_is_kept_and_the_question_is_rare(
    context: WorkerContext, redis_client: redis.Redis
) -> None:
    """Once an hour, and only those that were silent for as long."""
    context.events.create_group()
    context.events.read("rests", 10)
    assert context.events.delete_idle_consumers() == 0
    assert context.events.delete_idle_consumers(idle_ms=0) == 0
    left: Any = redis_client.xinfo_consumers(stream.STREAM, stream.GROUP)
    assert [found["name"] for found in left] == [b"rests"]


def test_a_worker_that_starts_looks_for_what_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for the scheduler, which may have to be started too."""
    sent: list[tuple[str, dict[str, bool]]] = []
    monkeypatch.setattr(
        "workers.tasks.app.send_task", lambda name, kwargs: sent.append((name, kwargs))
    )
    tasks.make_up()
    assert sent == [
        (celery_config.SWEEP, {}),
        (celery_config.RECONCILE, {"after_outage": True}),
        (celery_config.ACCOUNT, {}),
    ]
