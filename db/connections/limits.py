"""The limits that every session has, so that a stuck server or session holds nobody for long."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000

# As `pg_settings` writes them. `deploy/app_role.sql` gives the product's role the same.
WANTED: Mapping[str, str] = {
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
    # What a commit says when it was not replicated is a warning.
    "client_min_messages": "warning",
    "TimeZone": "UTC",
}


def startup_options(statement_timeout_ms: int) -> str:
    """The limits as a session is asked for them when it begins; a pooler does not pass them on."""
    limits = {**WANTED, "statement_timeout": str(statement_timeout_ms)}
    return " ".join(f"-c {name}={value}" for name, value in limits.items())


def differing(connection: Connection) -> dict[str, str]:
    """The limits that are not in force in this session, with what is there instead."""
    rows = connection.execute(_SHOWN, {"names": list(WANTED)})
    shown = {row.name: row.setting for row in rows}
    return {name: shown[name] for name, wanted in WANTED.items() if shown[name] != wanted}


_SHOWN = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
