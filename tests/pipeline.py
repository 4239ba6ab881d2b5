"""Drives the real pipeline in tests: real PostgreSQL, real Redis, no Celery process."""

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, text

import db.ledger.catalogue
from db.bodies import compress
from db.engine import make_engine
from db.queue.stream import EventStream, connect
from domain.catalogue.plans import Catalogue, CatalogueChange
from domain.events import Delivery
from workers.context import WorkerContext
from workers.pipeline.drain import drain
from workers.pipeline.report import Drained


def a_delivery(event: Mapping[str, Any]) -> Delivery:
    """An event as the receiver hands it on."""
    return Delivery(
        event_id=event["id"],
        event_type=event["type"],
        created=event["created"],
        received_ms=int(time.time() * 1000),
        body=compress(orjson.dumps(event)),
    )


def a_worker_context(database_url: str, redis_url: str, consumer: str = "test") -> WorkerContext:
    """A worker's ports on the test engines."""
    return WorkerContext(
        engine=make_engine(database_url, pool_size=2, prepares=True),
        events=EventStream(connect(redis_url, timeout_seconds=3.0)),
        consumer=consumer,
    )


def let_leases_run_out(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every consumer's lease on an entry of the stream has run out."""
    take_over_stale = partial(context.events.take_over_stale, lease_ms=0)
    monkeypatch.setattr(context.events, "take_over_stale", take_over_stale)


def put(context: WorkerContext, events: Iterable[Mapping[str, Any]]) -> None:
    """Put events on the stream, in this order."""
    for event in events:
        context.events.put(a_delivery(event))


def work(context: WorkerContext, events: Iterable[Mapping[str, Any]]) -> Drained:
    """Put events on the stream and drain it."""
    put(context, events)
    return drain(context, lambda: None)


def sell(engine: Engine, catalogue: Catalogue) -> None:
    """Make the database sell exactly these plans, as version 1 each."""
    changes = [
        CatalogueChange(None, plan, (), dict(plan.stripe_price_ids), is_new_version=True)
        for plan in catalogue.plans
    ]
    with engine.begin() as connection:
        db.ledger.catalogue.save(connection, changes)


def empty(engine: Engine) -> None:
    """Forget every event and effect; the catalogue stays. Only a test may do this."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER USER"))
        connection.execute(
            text(
                "TRUNCATE webhook_events, customers, subscriptions, payments, refunds, disputes,"
                " credit_notes, token_accounts, ledger_entries, event_attempts, paused_types,"
                " access_states, reconcile_progress, questions, stripe_turn, outbox, outbox_users,"
                " destinations, destination_users, destination_resends, redis_seen,"
                " own_endpoint, endpoint_changes, shadow_events, shadow_differences, notices,"
                " noticed_objects"
            )
        )
        connection.execute(text("ALTER TABLE ledger_entries ENABLE TRIGGER USER"))


def empty_redis(redis_url: str) -> None:
    """Forget the stream and every flag."""
    with closing(connect(redis_url, timeout_seconds=3.0)) as client:
        client.flushdb()


def balances(engine: Engine) -> dict[str, int]:
    """Every balance that is not zero."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT user_id, balance FROM token_accounts"))
        return {row.user_id: row.balance for row in rows if row.balance}


def statuses(engine: Engine) -> dict[str, str]:
    """The inbox status of every event."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, status FROM webhook_events"))
        return {row.id: row.status for row in rows}
