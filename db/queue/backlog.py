"""How much waits to be applied, and since when: what metrics and operators ask of both queues."""

from dataclasses import dataclass

import redis
from sqlalchemy import Connection, text

from db.queue.stream import STREAM


@dataclass(frozen=True, slots=True)
class StreamBacklog:
    """Entries of the stream that are not finished; times are milliseconds since 1970."""

    depth: int
    oldest_ms: int | None
    newest_ms: int | None


@dataclass(frozen=True, slots=True)
class InboxBacklog:
    """Events of the inbox that are not applied; times are seconds since 1970.

    `received` only wait, `failed` wait for their next attempt, `dead` for a person.
    `oldest_seconds` is when the oldest that is not dead was received, `newest_seconds` when the
    newest of all was; `due_seconds` is since when the longest overdue should have been tried,
    unless its type is paused.
    """

    received: int
    failed: int
    dead: int
    oldest_seconds: float | None
    newest_seconds: float | None
    due_seconds: float | None


def in_stream(client: redis.Redis) -> StreamBacklog:
    """What the stream holds. Raises `redis.RedisError` when Redis cannot be asked."""
    try:
        info = client.xinfo_stream(STREAM)
    except redis.ResponseError as error:
        if "no such key" not in str(error):
            raise
        return StreamBacklog(0, None, None)
    first = info["first-entry"]
    newest_ms = _milliseconds(info["last-generated-id"])
    return StreamBacklog(info["length"], _milliseconds(first[0]) if first else None, newest_ms)


def in_inbox(connection: Connection) -> InboxBacklog:
    """What the inbox holds."""
    row = connection.execute(_INBOX).one()
    return InboxBacklog(row.received, row.failed, row.dead, row.oldest, row.newest, row.due)


def _milliseconds(entry_id: bytes | str) -> int | None:
    plain = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    # A stream that never had an entry calls its last one 0-0.
    return int(plain.partition("-")[0]) or None


_INBOX = text(
    """
    SELECT count(*) FILTER (WHERE status = 'received') AS received,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status = 'dead') AS dead,
           CAST(extract(epoch FROM min(received_at) FILTER (WHERE status <> 'dead')) AS float8)
               AS oldest,
           CAST(extract(epoch FROM min(next_attempt_at) FILTER (
               WHERE next_attempt_at <= now() AND type NOT IN (SELECT type FROM paused_types)
           )) AS float8) AS due,
           CAST(extract(epoch FROM (SELECT max(received_at) FROM webhook_events)) AS float8)
               AS newest
    FROM webhook_events
    WHERE status IN ('received', 'failed', 'dead')
    """
)
