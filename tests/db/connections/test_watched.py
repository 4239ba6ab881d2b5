"""No wait for PostgreSQL is without bound, whatever the server does."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from db.connections import limits
from db.connections.watched import WatchedConnection, connection_class
from db.engine import make_engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine whose server ends a statement after 0.3 s, and which itself waits for 1.3 s."""
    made = make_engine(database_url, statement_timeout_ms=300)
    yield made
    made.dispose()


def test_the_servers_own_limit_comes_first(engine: Engine) -> None:
    """It tells more, and the connection can be used again."""
    with engine.connect() as connection:
        with pytest.raises(OperationalError) as ended:
            connection.execute(text("SELECT pg_sleep(3)"))
        connection.rollback()
        assert getattr(ended.value.orig, "pgcode", None) == "57014"
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_server_that_stands_still_is_left(engine: Engine) -> None:
    """It answers no question and enforces no limit; its machine acknowledges what is sent."""
    with engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(DBAPIError) as cut:
                connection.execute(text("SELECT 1"))
            assert time.monotonic() - began < 2.5
            assert cut.value.connection_invalidated
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("rest_seconds", "is_told"), [(0.0, True), (0.4, False)])
def test_a_connection_that_rested_is_tested_before_it_is_trusted(
    database_url: str, engine: Engine, rest_seconds: float, *, is_told: bool
) -> None:
    """Whoever uses one again and again hears of its end, and then has another."""
    trusting = make_engine(database_url, trusted_seconds=0.3)
    with trusting.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 2000)"), {"pid": pid})
    time.sleep(rest_seconds)

    def use() -> int:
        with trusting.connect() as connection:
            return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())

    if is_told:
        with pytest.raises(OperationalError) as lost:
            use()
        assert lost.value.connection_invalidated
    assert use() != pid
    trusting.dispose()


def test_a_wait_after_a_fork_is_watched_too(database_url: str) -> None:
    """The thread that watches is not copied into a worker's process."""
    made = make_engine(database_url)
    with made.connect() as connection:
        connection.execute(text("SELECT 1"))
    made.dispose()
    child = os.fork()
    if not child:
        inside = make_engine(database_url, statement_timeout_ms=300)
        with inside.connect() as connection:
            threads = {thread.name for thread in threading.enumerate()}
            connection.execute(text("SELECT 1"))
        os._exit(0 if "database-deadline" in threads else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_commit_that_says_a_word_is_none(database_url: str) -> None:
    """A warning is all that PostgreSQL says of a commit that no standby confirmed."""
    engine = create_engine(
        database_url, connect_args={"connection_factory": connection_class(0, pooled=False)}
    )
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        assert isinstance(driver, WatchedConnection)
        connection.execute(text("CREATE TEMPORARY TABLE loud (id int)"))
        connection.execute(text("DO $$ BEGIN RAISE WARNING 'of a statement'; END $$"))
        connection.commit()
        connection.execute(
            text(
                "CREATE FUNCTION pg_temp.warn() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE WARNING 'committed locally'; RETURN NULL; END $$"
            )
        )
        connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON loud"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.warn()"
            )
        )
        connection.commit()
        connection.execute(text("INSERT INTO loud VALUES (1)"))
        with pytest.raises(OperationalError, match="not confirmed"):
            connection.commit()
    engine.dispose()


def test_who_allows_long_statements_allows_long_commits() -> None:
    """A command of an operator, on a server with much to write."""
    long = connection_class(60_000, pooled=False)
    assert (long.statement_seconds_max, long.commit_seconds_max) == (61.0, 59.0)
    usual = connection_class(limits.STATEMENT_TIMEOUT_MS, pooled=True)
    assert (usual.statement_seconds_max, usual.commit_seconds_max) == (6.0, 4.0)
    assert not usual.knows_its_session


def test_the_limits_are_in_force_unless_a_pooler_is_between(database_url: str) -> None:
    """And what is not in force is named with what is there instead."""
    with make_engine(database_url).connect() as connection:
        assert limits.differing(connection) == {}
    with make_engine(database_url, statement_timeout_ms=7).connect() as connection:
        assert limits.differing(connection) == {"statement_timeout": "7"}
    with create_engine(database_url).connect() as connection:
        assert limits.differing(connection)["lock_timeout"] == "0"


def test_a_cursor_outside_of_an_engine_works_as_ever(database_url: str) -> None:
    """Named cursors fetch as they go, and have the server's limit alone."""
    plain = database_url.replace("+psycopg2", "", 1)
    connection: extensions.connection = psycopg2.connect(
        plain, connection_factory=WatchedConnection
    )
    with connection.cursor("named") as cursor:
        cursor.execute("SELECT generate_series(1, 3)")
        assert [number for (number,) in cursor] == [1, 2, 3]
    connection.close()
