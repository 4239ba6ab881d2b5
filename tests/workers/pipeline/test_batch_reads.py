"""A batch looks up what it needs, however little PostgreSQL knows of the tables by then."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text

import settings
from db.bodies import compress
from db.engine import make_engine
from domain.events import Delivery
from sandbox.simulate.account import Account
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.versions import BY_CHOICE
from tests.pipeline import a_worker_context, empty, sell
from tests.simulated_catalogue import catalogue_of
from workers.context import WorkerContext
from workers.pipeline.apply import apply, prepare

FILES = ("payments", "subscriptions", "customers", "webhook_events", "access_states")
PLANS = read_file(SAMPLE_PLANS)
STORED, BATCH = 4_000, 500
TODAY = 1_788_220_800
# Most events are of new customers; to read one table whole is as much again.
READ_MAX = 600

_ROWS_READ = text(
    "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
    " WHERE relname = ANY(:files)"
)


@pytest.fixture(params=["False", "True"], ids=["direct", "pooled"])
def unknown(
    database_url: str, redis_url: str, request: pytest.FixtureRequest
) -> Iterator[WorkerContext]:
    """A worker on tables that nobody analyses, as in the first minute of a backlog.

    What it does where there is a pooler, it does here without one.
    """
    reached = settings.load(
        environ={"DATABASE_URL": database_url, "DATABASE_POOLER": request.param}
    )
    context = replace(
        a_worker_context(database_url, redis_url),
        engine=make_engine(reached, pool_size=2, prepares=True),
    )
    sell(context.engine, catalogue_of(PLANS))
    empty(context.engine)
    with context.engine.begin() as connection:
        for name in FILES:
            connection.execute(text(f"ALTER TABLE {name} SET (autovacuum_enabled = off)"))
    yield context
    context.engine.dispose()


def test_a_large_batch_reads_no_whole_table(unknown: WorkerContext) -> None:
    """Of tables with thousands of rows it reads some for each event."""
    deliveries = _history(STORED + BATCH)
    _apply(unknown, deliveries[:STORED])
    before = _rows_read(unknown)
    _apply(unknown, deliveries[STORED:])
    assert 0 < _rows_read(unknown) - before < READ_MAX


def test_nor_does_one_whose_statements_were_planned_on_small_tables(
    unknown: WorkerContext,
) -> None:
    """What was known of them then is as wrong: a small table is joined whole."""
    deliveries = _history(STORED + BATCH)
    _apply(unknown, deliveries[:BATCH])
    with unknown.engine.begin() as connection:
        for name in FILES:
            connection.execute(text(f"ANALYZE {name}"))
    _apply(unknown, deliveries[BATCH:STORED])
    before = _rows_read(unknown)
    _apply(unknown, deliveries[STORED:])
    assert 0 < _rows_read(unknown) - before < READ_MAX


def _history(count: int) -> Sequence[Delivery]:
    """So many events of customers who come one after the other."""
    account = Account(seed=7, run="reads", starts_at=TODAY)
    play(account, PLANS, BY_CHOICE["mixed"], customers=count // 6, today=TODAY)
    events = sorted(account.events, key=lambda event: event.created)
    assert len(events) >= count
    now_ms = int(time.time() * 1000)
    return [
        Delivery(event.id, event.type, event.created, now_ms, compress(event.body))
        for event in events[:count]
    ]


def _apply(context: WorkerContext, deliveries: Sequence[Delivery]) -> None:
    for start in range(0, len(deliveries), BATCH):
        works = [prepare(each) for each in deliveries[start : start + BATCH]]
        apply(context.engine, works, context.catalogue)


def _rows_read(context: WorkerContext) -> int:
    """How many rows of the files were read so far; the pool has one session, which counts them."""
    with context.engine.begin() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    with context.engine.connect() as connection:
        return int(connection.execute(_ROWS_READ, {"files": list(FILES)}).scalar_one())
