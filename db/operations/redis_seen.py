"""Which Redis answered last: another than before may lack what the one before it was given.

Kept in PostgreSQL, because the note would be lost with that Redis.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

# The time when a Redis was seen last is noted no more often than this.
NOTE_EVERY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Change:
    """That another Redis answers since `at`; `is_reread` once Stripe's list was read anew."""

    at: datetime
    is_reread: bool


@dataclass(frozen=True, slots=True)
class Reread:
    """That Stripe's list is to be read anew from the second `since`, because of the change `at`."""

    since: int
    at: datetime


def notice(connection: Connection, server_id: str) -> bool:
    """Note that this Redis answers; True when it was another before."""
    values = {"server_id": server_id, "every": NOTE_EVERY_SECONDS}
    if connection.execute(_IS_NOTED, values).first():
        return False
    return bool(connection.execute(_NOTE, values).scalar_one_or_none())


def last_change(connection: Connection) -> Change | None:
    """When it was another for the last time; None when it never was."""
    row = connection.execute(_LAST_CHANGE).one_or_none()
    return Change(row.changed_at, row.is_reread) if row else None


def reread(connection: Connection) -> Reread | None:
    """What is to be read anew; None where nothing is."""
    row = connection.execute(_REREAD).one_or_none()
    return Reread(row.since, row.changed_at) if row else None


def reread_done(connection: Connection, change: datetime) -> None:
    """What this change called for has been read; a later change calls for another reading."""
    connection.execute(_DONE, {"change": change})


_IS_NOTED = text(
    "SELECT FROM redis_seen WHERE server_id = :server_id"
    " AND seen_at > now() - :every * interval '1 second'"
)
# What the Redis before was given since it was seen last may be lost, and what it had not copied.
_NOTE = text(
    """
    INSERT INTO redis_seen AS seen (server_id) VALUES (:server_id)
    ON CONFLICT (only_row) DO UPDATE
    SET server_id = EXCLUDED.server_id,
        seen_at = now(),
        changed_at = CASE WHEN seen.server_id = EXCLUDED.server_id THEN seen.changed_at
                          ELSE now() END,
        reread_from = CASE WHEN seen.server_id = EXCLUDED.server_id THEN seen.reread_from
                           ELSE least(seen.reread_from, seen.seen_at) END
    RETURNING changed_at = now()
    """
)
_LAST_CHANGE = text(
    "SELECT changed_at, reread_from IS NULL AS is_reread FROM redis_seen"
    " WHERE changed_at IS NOT NULL"
)
_REREAD = text(
    "SELECT CAST(extract(epoch FROM reread_from) AS bigint) AS since, changed_at"
    " FROM redis_seen WHERE reread_from IS NOT NULL"
)
_DONE = text("UPDATE redis_seen SET reread_from = NULL WHERE changed_at = :change")
