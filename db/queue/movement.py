"""Whether anything waits that nobody has in hand, with a mark that changes when something moves."""

from typing import Any, cast

import redis
from sqlalchemy import Connection, text

from db.queue.stream import GROUP, LEASE_MS, STREAM

Mark = tuple[object, ...]


def of_stream(client: redis.Redis) -> Mark | None:
    """The mark of the stream; None where none of it waits. Raises `redis.RedisError`.

    What a consumer has in hand does not wait, until its lease has run out.
    """
    try:
        groups = cast("Any", client.xinfo_groups(STREAM))
    except redis.ResponseError as error:
        if "no such key" not in str(error):
            raise
        return None
    last = next((row["last-delivered-id"] for row in groups if row["name"] == GROUP.encode()), None)
    following = f"({last.decode()}" if last else "-"
    waiting: Any = client.xrange(STREAM, min=following, count=1)
    if last and not waiting:
        waiting = client.xpending_range(STREAM, GROUP, "-", "+", count=1, idle=LEASE_MS)
    if not waiting:
        return None
    oldest = cast("Any", client.xrange(STREAM, count=1))
    # What is taken moves the one, what is finished the other, and what arrives neither.
    return last, oldest[0][0] if oldest else None


def of_inbox(connection: Connection) -> Mark | None:
    """The mark of the inbox; None where nothing in it is due."""
    row = connection.execute(_OLDEST).first()
    return tuple(row) if row else None


# Whoever takes an event moves the time of its next attempt.
_OLDEST = text(
    """
    SELECT id, next_attempt_at FROM webhook_events
    WHERE status IN ('received', 'failed') AND next_attempt_at <= now()
      AND type <> ALL (ARRAY(SELECT type FROM paused_types))
    ORDER BY next_attempt_at, id LIMIT 1
    """
)
