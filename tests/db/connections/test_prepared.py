"""Statements about a few rows: planned once a session, by an index, and never wrongly kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, exc, text

import settings
from db.connections import prepared
from db.engine import make_engine
from db.together import Together

FOUND = text("SELECT id FROM things WHERE id = ANY(CAST(:ids AS text[])) AND id LIKE 'a%'")
KNOWN = text("SELECT count(*) FROM pg_prepared_statements")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """One session, with a table of things in it."""
    made = make_engine(database_url, pool_size=1, prepares=True)
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE things (id text PRIMARY KEY, size integer)"))
        connection.execute(text("INSERT INTO things VALUES ('a1', 1), ('a2', 2), ('b1', 3)"))
    yield made
    with made.begin() as connection:
        connection.execute(text("DROP TABLE things"))
    made.dispose()


@contextmanager
def of_few(engine: Engine) -> Iterator[Connection]:
    """A transaction about a few rows."""
    with engine.begin() as connection:
        prepared.use(connection)
        yield connection


def ids(connection: Connection, *wanted: str) -> list[str]:
    """Those of the ids that are things whose name begins with an a."""
    return sorted(connection.execute(FOUND, {"ids": list(wanted)}).scalars())


def plans(connection: Connection) -> list[int]:
    """How often each prepared statement was run by its general plan."""
    found = connection.exec_driver_sql("SELECT generic_plans FROM pg_prepared_statements")
    return sorted(found.scalars())


def chosen(connection: Connection) -> list[str]:
    """How plans are chosen now."""
    shown = (connection.exec_driver_sql(f"SHOW {name}") for name in prepared._CHOSEN)
    return [each.scalar_one() for each in shown]


def test_a_statement_is_planned_once_a_session(engine: Engine) -> None:
    """Each transaction gives its own values; a percent sign stays one."""
    with of_few(engine) as connection:
        assert ids(connection, "a1", "b1") == ["a1"]
    with of_few(engine) as connection:
        assert ids(connection, "a2", "it's", "100%") == ["a2"]
        assert ids(connection) == []
        assert plans(connection) == [3]


def test_any_other_transaction_plans_as_before(engine: Engine) -> None:
    """The settings last no longer than the transaction that made them."""
    with engine.begin() as connection:
        before = chosen(connection)
        assert ids(connection, "a1") == ["a1"]
        assert connection.execute(KNOWN).scalar_one() == 0
    with of_few(engine) as connection:
        ids(connection, "a1")
        assert chosen(connection) == list(prepared._CHOSEN.values())
    with engine.begin() as connection:
        assert chosen(connection) == before


def test_of_those_that_go_together_each_is_prepared(engine: Engine) -> None:
    """So another combination of them prepares nothing anew; the last one's rows come back."""
    grow = "UPDATE things SET size = size + :more WHERE id = :grown"
    seen = "SELECT size FROM things WHERE id = :seen"
    with of_few(engine) as connection:
        together = Together(connection)
        together.add(grow, more=5, grown="a1")
        together.add(seen, seen="a1")
        result = together.run()
        assert result is not None
        assert result.scalar_one() == 6
        together.add(seen, seen="b1")
        result = together.run()
        assert result is not None
        assert result.scalar_one() == 3
        assert plans(connection) == [1, 2]


def test_what_cannot_be_prepared_is_run_as_it_is(engine: Engine) -> None:
    """A savepoint, for one; what is in it is prepared all the same."""
    with of_few(engine) as connection:
        with connection.begin_nested():
            assert ids(connection, "a1") == ["a1"]
        connection.execute(text("LOCK TABLE things"))
        assert len(plans(connection)) == 1


def test_after_a_failure_nothing_is_taken_for_prepared(engine: Engine) -> None:
    """Nobody knows how much of the message was done."""
    divided = text("SELECT 1 / CAST(:by AS integer)")
    with of_few(engine) as connection:
        ids(connection, "a1")
        with pytest.raises(exc.DataError):
            connection.execute(divided, {"by": 0})
        connection.rollback()
    with of_few(engine) as connection:
        assert connection.execute(divided, {"by": 1}).scalar_one() == 1
        assert ids(connection, "a1") == ["a1"]
        assert len(plans(connection)) == 2


def test_a_table_that_another_release_changes_costs_one_failure(engine: Engine) -> None:
    """PostgreSQL refuses a plan whose result has another type now."""
    everything = text("SELECT * FROM things WHERE id = :id")
    with of_few(engine) as connection:
        assert len(connection.execute(everything, {"id": "a1"}).one()) == 2
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE things ADD COLUMN colour text"))
    with pytest.raises(exc.DBAPIError), of_few(engine) as connection:
        connection.execute(everything, {"id": "a1"})
    with of_few(engine) as connection:
        assert len(connection.execute(everything, {"id": "a1"}).one()) == 3


def test_a_plan_made_on_a_small_table_goes_by_the_index_when_it_has_grown(engine: Engine) -> None:
    """Nothing tells PostgreSQL to plan anew until somebody analyses the table."""
    with engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE things")
    with of_few(engine) as connection:
        ids(connection, "a1")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO things SELECT 'a' || size, size FROM generate_series(3, 5000) AS size"
        )
    with of_few(engine) as connection:
        assert ids(connection, "a7", "a4000") == ["a4000", "a7"]
        [name] = connection.exec_driver_sql("SELECT name FROM pg_prepared_statements").scalars()
        plan: Any = connection.exec_driver_sql(f"EXPLAIN EXECUTE {name}('{{a7,a4000}}')").scalars()
        shown = "\n".join(plan)
    assert "things_pkey" in shown
    assert "Seq Scan" not in shown


def test_behind_a_pooler_nothing_is_prepared(engine: Engine, database_url: str) -> None:
    """The next transaction has another session, where nobody knows these statements."""
    pooled = settings.load(environ={"DATABASE_URL": database_url, "DATABASE_POOLER": "True"})
    other = make_engine(pooled, prepares=True)
    with of_few(other) as connection:
        assert ids(connection, "a1") == ["a1"]
        assert connection.execute(KNOWN).scalar_one() == 0
        # By an index it goes all the same, and once the transaction ends no longer.
        assert chosen(connection) == list(prepared._CHOSEN.values())
        assert ids(connection, "a2", "100%") == ["a2"]
    with other.begin() as connection:
        assert ids(connection, "a1") == ["a1"]
        assert chosen(connection) != list(prepared._CHOSEN.values())
    other.dispose()
    with of_few(engine) as connection:
        ids(connection, "a1")
        assert len(plans(connection)) == 1
