"""Makes the connection pool to PostgreSQL, with limits that keep a stuck server from holding us."""

from sqlalchemy import Engine, create_engine

CONNECT_TIMEOUT_SECONDS = 2
STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000


def make_engine(
    database_url: str,
    *,
    pool_size: int = 4,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    application_name: str = "fiko-billing",
    low_balance: float = 0.1,
) -> Engine:
    """A pool of at most `pool_size` connections; make it after fork, one a process.

    Every connection has the timeouts named above and TCP keepalives, so a dead peer is noticed
    within seconds. A pooled connection is tested before use (`pool_pre_ping`). Users are told of
    a low balance below this share of their last grant, whoever moves it.
    """
    options = (
        f"-c statement_timeout={statement_timeout_ms} -c lock_timeout={LOCK_TIMEOUT_MS}"
        f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}"
        " -c timezone=UTC"
    )
    return create_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        pool_pre_ping=True,
        # Parameters are users and amounts, and errors end in logs.
        hide_parameters=True,
        execution_options={"low_balance": low_balance},
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 5_000,
            "application_name": application_name,
            "options": options,
        },
    )
