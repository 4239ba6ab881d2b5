"""A batch looks up what it needs, however little PostgreSQL knows of the tables by then."""

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Engine, text

import settings
from db.engine import make_engine
from db.ledger.catalogue import CatalogueCache
from domain.events import Delivery
from sandbox.simulate.account import Account
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.versions import BY_CHOICE
from tests.pipeline import a_delivery, empty, sell
from tests.simulated_catalogue import catalogue_of
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
def unknown(database_url: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A worker's sessions on tables that nobody analyses, as in the first minute of a backlog.

    What they do where there is a pooler, they do here without one.
    """
    reached = settings.load(
        environ={"DATABASE_URL": database_url, "DATABASE_POOLER": request.param}
    )
    engine = make_engine(reached, prepares=True)
    sell(engine, catalogue_of(PLANS))
    empty(engine)
    with engine.begin() as connection:
        for name in FILES:
            connection.execute(text(f"ALTER TABLE {name} SET (autovacuum_enabled = off)"))
    yield engine
    engine.dispose()


def test_a_large_batch_reads_no_whole_table(unknown: Engine) -> None:
    """Of tables with thousands of rows it reads some for each event."""
    deliveries = _history(STORED + BATCH)
    _apply(unknown, deliveries[:STORED])
    before = _rows_read(unknown)
    _apply(unknown, deliveries[STORED:])
    assert 0 < _rows_read(unknown) - before < READ_MAX


def test_nor_does_one_whose_statements_were_planned_on_small_tables(
    unknown: Engine,
) -> None:
    """What was known of them then is as wrong: a small table is joined whole."""
    deliveries = _history(STORED + BATCH)
    _apply(unknown, deliveries[:BATCH])
    with unknown.begin() as connection:
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
    return [a_delivery(event.payload) for event in events[:count]]


def _apply(engine: Engine, deliveries: Sequence[Delivery]) -> None:
    cache = CatalogueCache()
    for start in range(0, len(deliveries), BATCH):
        works = [prepare(each) for each in deliveries[start : start + BATCH]]
        apply(engine, works, cache)


def _rows_read(engine: Engine) -> int:
    """How many rows of the files were read so far; the pool has one session, which counts them."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    with engine.connect() as connection:
        return int(connection.execute(_ROWS_READ, {"files": list(FILES)}).scalar_one())
