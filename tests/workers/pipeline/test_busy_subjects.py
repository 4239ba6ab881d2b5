"""Two batches with a customer in common: the events of all others do not wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.ledger import locks
from db.queue.attempts import Request
from tests.pipeline import a_delivery, a_worker_context, balances, put, statuses
from tests.stripe_objects import a_session, an_event
from tests.workers.liveness.broken_brokers import wait_until
from workers.context import WorkerContext
from workers.pipeline.apply import apply, prepare
from workers.pipeline.drain import drain

JOIN_SECONDS_MAX = 20.0


def sale(number: int) -> dict[str, Any]:
    """A package sold to a customer of its own."""
    session = a_session(id=f"cs_{number}", customer=f"cus_{number}", payment_intent=f"pi_{number}")
    session["client_reference_id"] = session["metadata"]["user_id"] = f"user_{number}"
    return an_event("checkout.session.completed", session, event_id=f"evt_{number}")


@pytest.fixture
def other(database_url: str, redis_url: str) -> Iterator[Engine]:
    """Whoever else is on the database."""
    engine = a_worker_context(database_url, redis_url, consumer="other").engine
    yield engine
    engine.dispose()


@contextmanager
def beside(context: WorkerContext) -> Iterator[Thread]:
    """A drain in another thread."""
    thread = Thread(target=drain, args=(context, lambda: None), daemon=True)
    thread.start()
    yield thread
    thread.join(JOIN_SECONDS_MAX)
    assert not thread.is_alive()


def test_events_of_all_others_are_committed_meanwhile(
    context: WorkerContext, other: Engine
) -> None:
    """The one that is left comes after them, once its customer is free."""
    put(context, [sale(number) for number in range(4)])
    with other.connect() as holder:
        locks.acquire(holder, {"cus_1"})
        with beside(context) as thread:
            wait_until(lambda: len(balances(other)) == 3)
            assert sorted(statuses(other)) == ["evt_0", "evt_2", "evt_3"]
            assert thread.is_alive()
            holder.rollback()
    assert set(statuses(other).values()) == {"applied"}
    assert len(balances(other)) == 4
    assert context.events.read(context.consumer, 10) == []


def test_where_most_are_taken_the_batch_waits_as_one(context: WorkerContext, other: Engine) -> None:
    """Nothing is committed before, and all of it in one transaction."""
    put(context, [sale(number) for number in range(3)])
    with other.connect() as holder:
        locks.acquire(holder, {"cus_0", "cus_2"})
        with beside(context):
            wait_until(lambda: _waits(other))
            assert statuses(other) == {}
            holder.rollback()
    assert set(statuses(other).values()) == {"applied"}
    with other.connect() as connection:
        commits = connection.execute(text("SELECT count(DISTINCT xmin::text) FROM webhook_events"))
        assert commits.scalar_one() == 1


def test_no_row_of_an_event_is_held_while_it_waits_for_its_customer(
    context: WorkerContext, other: Engine
) -> None:
    """So a replay and a drain that meet at one event cannot wait for each other for ever."""
    event = sale(1)
    apply(context.engine, [prepare(a_delivery(event))], context.catalogue)
    work = prepare(a_delivery(event), is_stored=True)._replace(request=Request("ada", "a test"))
    thread = Thread(target=apply, args=(context.engine, [work], context.catalogue), daemon=True)
    with other.connect() as holder:
        locks.acquire(holder, {"cus_1"})
        thread.start()
        wait_until(lambda: _waits(other))
        with other.begin() as connection:
            connection.execute(text("SELECT id FROM webhook_events FOR UPDATE NOWAIT"))
        holder.rollback()
    thread.join(JOIN_SECONDS_MAX)
    assert not thread.is_alive()


def _waits(other: Engine) -> bool:
    """Whether a transaction waits for a subject."""
    with other.connect() as connection:
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(connection.execute(waiting).scalar_one())
