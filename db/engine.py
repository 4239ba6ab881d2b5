"""Makes the connection pool to PostgreSQL, with limits that keep a stuck server from holding us."""

import time
from typing import Any, Protocol

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry

from db import text_arrays
from db.connections.guard import Guard
from db.connections.limits import STATEMENT_TIMEOUT_MS, startup_options
from db.connections.prepared import prepare_statements
from db.connections.timelines import Timelines
from db.connections.watched import connection_class
from db.queue import stream

CONNECT_TIMEOUT_SECONDS = 2
# Redis is asked for the newest timeline, and nobody waits for it for long.
REDIS_TIMEOUT_SECONDS = 0.25


class Configured(Protocol):
    """The settings that say how PostgreSQL is reached, and what it must promise."""

    @property
    def database_url(self) -> str:
        """Where it is, as SQLAlchemy spells it."""

    @property
    def database_pooler(self) -> bool:
        """Whether a pooler is between, which gives each transaction any session."""

    @property
    def database_copies(self) -> int:
        """How many standbys must confirm a commit."""

    @property
    def low_balance(self) -> float:
        """Below which share of their last grant users are told that little is left."""

    @property
    def redis_url(self) -> str:
        """Where processes tell each other of promotions; empty for nowhere."""


def make_engine(
    database: Configured | str,
    *,
    pool_size: int = 4,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    application_name: str = "fiko-billing",
    low_balance: float | None = None,
    guarded: bool = True,
    trusted_seconds: float | None = None,
    prepares: bool = False,
) -> Engine:
    """A pool of at most `pool_size` connections; make it after fork, one a process.

    Every session has the limits of `db.connections.limits`, every connection a deadline of our own
    and TCP keepalives, so a dead peer is noticed within seconds. A pooled connection is tested
    before use (`pool_pre_ping`); with `trusted_seconds` only one that nobody has used for so long,
    for whoever tries again when a statement finds it dead. With `prepares` its sessions can prepare
    statements (`db.connections.prepared`); behind a pooler they only choose plans as those do. Made
    of settings, and not of a bare URL, and `guarded`, it refuses a server that another has
    replaced. Users are told of a low balance below the settings' share of their last grant, whoever
    moves it; `low_balance` is another share.
    """
    text_arrays.register()
    url = database if isinstance(database, str) else database.database_url
    pooled = not isinstance(database, str) and database.database_pooler
    options: dict[str, Any] = {} if pooled else {"options": startup_options(statement_timeout_ms)}
    if low_balance is None and not isinstance(database, str):
        low_balance = database.low_balance
    told = {} if low_balance is None else {"low_balance": low_balance}
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        pool_pre_ping=trusted_seconds is None,
        # Parameters are users and amounts, and errors end in logs.
        hide_parameters=True,
        execution_options=told,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 5_000,
            "application_name": application_name,
            "connection_factory": connection_class(statement_timeout_ms, pooled=pooled),
            **options,
        },
    )
    if trusted_seconds is not None:
        _test_rested(engine, trusted_seconds)
    if prepares:
        prepare_statements(engine, pooled=pooled)
    if pooled and statement_timeout_ms != STATEMENT_TIMEOUT_MS:
        _limit_each_transaction(engine, statement_timeout_ms)
    if guarded and not isinstance(database, str):
        _guard(engine, database)
    return engine


def _test_rested(engine: Engine, trusted_seconds: float) -> None:
    """Test a pooled connection that nobody has used for so long."""

    def came_back(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = time.monotonic()

    def goes_out(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401 - the driver's.
        used_at = record.info.get("used_at")
        if used_at is not None and time.monotonic() - used_at > trusted_seconds:
            try:
                engine.dialect.do_ping(connection)
            except psycopg2.Error as error:
                raise exc.DisconnectionError from error

    event.listen(engine, "checkin", came_back)
    event.listen(engine, "checkout", goes_out)


def _limit_each_transaction(engine: Engine, statement_timeout_ms: int) -> None:
    """Set a limit that is not the role's own, for one transaction at a time."""

    def set_limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {statement_timeout_ms:d}")

    event.listen(engine, "begin", set_limit)


def _guard(engine: Engine, database: Configured) -> None:
    client = None
    if database.redis_url:
        client = stream.connect(database.redis_url, timeout_seconds=REDIS_TIMEOUT_SECONDS)
        # Its connection goes with those to PostgreSQL, and comes back with the next one.
        event.listen(engine, "engine_disposed", lambda _engine: client.close())
    guard = Guard(
        Timelines(client),
        copies=database.database_copies,
        asks_often=database.database_pooler,
    )
    guard.watch(engine)
