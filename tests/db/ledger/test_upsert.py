"""Rows of the ledger's tables: the same by COPY as by a statement, and never twice."""

from collections.abc import Container, Iterator, Sequence

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from db import copying
from db.ledger.rows import Row
from db.ledger.upsert import Upsert
from db.tables import refunds
from db.together import Together
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from tests.flows.lives import events_of_lives
from tests.pipeline import a_worker_context, empty, empty_redis, sell, work
from tests.simulated_catalogue import catalogue_of

CUSTOMERS = 40
TABLES = ("customers", "subscriptions", "payments", "refunds", "disputes", "credit_notes")
REFUNDS = Upsert(refunds, [column.name for column in refunds.columns])


@pytest.fixture
def engine(database_url: str, redis_url: str) -> Iterator[Engine]:
    """An empty database that sells the plans of the simulation."""
    context = a_worker_context(database_url, redis_url)
    empty(context.engine)
    sell(context.engine, catalogue_of(read_file(SAMPLE_PLANS)))
    yield context.engine
    context.engine.dispose()


def write(connection: Connection, rows: Sequence[Row], there: Container[str] | None = None) -> None:
    """Write refunds with nothing else."""
    together = Together(connection)
    REFUNDS.add(together, rows, there)
    together.run()


def a_refund(number: int, *, amount_minor: int = 100) -> dict[str, object]:
    """A row."""
    return {
        "id": f"re_{number}",
        "target_id": "pi_1",
        "status": "succeeded",
        "amount_minor": amount_minor,
        "failed_created": None,
    }


def amounts(engine: Engine) -> dict[str, int]:
    """The refunds, by id."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, amount_minor FROM refunds"))
        return {row.id: row.amount_minor for row in rows}


def written(
    engine: Engine, database_url: str, redis_url: str, seed: int
) -> dict[str, list[object]]:
    """What the tables hold after so many lives came in a few batches."""
    empty(engine)
    empty_redis(redis_url)
    context = a_worker_context(database_url, redis_url)
    done = work(
        context, [event.payload for event in events_of_lives(seed, "up", customers=CUSTOMERS)]
    )
    context.engine.dispose()
    assert done.failed == 0
    assert done.applied > CUSTOMERS
    ledger = "user_id, delta, kind, balance_after, payment_id, event_id, reason, idempotency_key"
    queries = {
        table: f"SELECT to_jsonb({table}) - 'updated_at' FROM {table} ORDER BY id"  # noqa: S608
        for table in TABLES
    } | {"ledger_entries": f"SELECT {ledger} FROM ledger_entries ORDER BY user_id, id"}  # noqa: S608
    with engine.connect() as connection:
        return {table: list(connection.execute(text(query))) for table, query in queries.items()}


def test_rows_are_the_same_whichever_way_they_go(
    engine: Engine, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All columns of all tables that facts and their worth are kept in."""
    monkeypatch.setattr(copying, "COPIED_MIN", 100_000)
    inserted = written(engine, database_url, redis_url, seed=11)
    monkeypatch.setattr(copying, "COPIED_MIN", 1)
    copied = written(engine, database_url, redis_url, seed=11)
    for table, rows in inserted.items():
        assert copied[table] == rows, table
        assert rows, table


@pytest.mark.parametrize("copied_min", [1, 1_000], ids=["copied", "inserted"])
def test_what_is_there_is_replaced(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, copied_min: int
) -> None:
    """New rows and known ones in one call."""
    monkeypatch.setattr(copying, "COPIED_MIN", copied_min)
    with engine.begin() as connection:
        write(connection, [a_refund(1)], ())
        write(connection, [a_refund(2), a_refund(1, amount_minor=7)], {"re_1"})
    assert amounts(engine) == {"re_1": 7, "re_2": 100}


def test_few_rows_and_rows_of_which_nothing_is_known_go_by_the_statement(engine: Engine) -> None:
    """It finds out by itself what is there."""
    many = [a_refund(number) for number in range(copying.COPIED_MIN)]
    with engine.begin() as connection:
        write(connection, many)
        write(connection, [a_refund(number, amount_minor=7) for number in range(20)])
        write(connection, [a_refund(1, amount_minor=9)], ())
    found = amounts(engine)
    assert len(found) == 20
    assert (found["re_0"], found["re_1"]) == (7, 9)


def test_a_row_that_came_in_meanwhile_is_not_overwritten(engine: Engine) -> None:
    """Its facts were not read: the transaction fails, and is run again in parts that read them."""
    many = [a_refund(number, amount_minor=7) for number in range(copying.COPIED_MIN)]
    with engine.begin() as connection:
        write(connection, [a_refund(3)])
    with pytest.raises(IntegrityError), engine.begin() as connection:
        write(connection, many, ())
    assert amounts(engine) == {"re_3": 100}
