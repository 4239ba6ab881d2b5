"""Event types that a person has paused: their events are kept and wait.

The inbox itself leaves them out of what is due, so nothing has to be undone when they resume.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

# A worker that applies one small batch after another looks no more often at what is paused.
HEEDED_WITHIN_SECONDS = 0.1


def listed(connection: Connection) -> Sequence[Row[Any]]:
    """Every pause, with the number of events that wait for its end."""
    return connection.execute(_LISTED).all()


def pause(connection: Connection, event_type: str, *, by: str, reason: str | None) -> bool:
    """Pause a type; False when it is paused already, which leaves that pause as it is."""
    wanted = {"type": event_type, "by": by, "reason": reason}
    return connection.execute(_PAUSE, wanted).rowcount == 1


def resume(connection: Connection, event_type: str) -> int | None:
    """End a pause and make its events due now; how many, or None when it was not paused."""
    if connection.execute(_RESUME, {"type": event_type}).rowcount == 0:
        return None
    return connection.execute(_RELEASE, {"type": event_type}).rowcount


_LISTED = text(
    """
    SELECT pause.type, paused_at, paused_by, reason,
           (SELECT count(*) FROM webhook_events AS event
            WHERE event.type = pause.type AND event.status IN ('received', 'failed')) AS waiting
    FROM paused_types AS pause ORDER BY pause.type
    """
)
_PAUSE = text(
    "INSERT INTO paused_types (type, paused_by, reason) VALUES (:type, :by, :reason)"
    " ON CONFLICT (type) DO NOTHING"
)
_RESUME = text("DELETE FROM paused_types WHERE type = :type")
_RELEASE = text(
    "UPDATE webhook_events SET next_attempt_at = now()"
    " WHERE type = :type AND status IN ('received', 'failed')"
)
