"""How far Stripe's list of events has been read: a cursor, and the place of a reading under way.

The list is read newest first, so the cursor moves only when a reading has come down to it; until
then the place is kept, and a reading that was interrupted goes on there.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Walk:
    """A reading under way: from `top` (the newest second seen) down to `floor`, both Stripe's.

    `after` is the event that was read last.
    """

    floor: int
    top: int
    after: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Where reconciling stands.

    Everything up to the second `reached` has been read (None: never). `idle_seconds` is how long
    ago the walk moved.
    """

    reached: int | None = None
    walk: Walk | None = None
    idle_seconds: float = 0.0


def progress(connection: Connection) -> Progress:
    """Where it stands now."""
    row = connection.execute(_PROGRESS).one_or_none()
    if row is None:
        return Progress()
    walk = None
    if row.walk_after is not None:
        walk = Walk(row.walk_from, row.walk_top, row.walk_after)
    return Progress(row.reached_created, walk, float(row.idle_seconds))


def keep_place(connection: Connection, walk: Walk) -> None:
    """Remember how far a walk has come. Commit it with the events it found."""
    connection.execute(_KEEP_PLACE, {"floor": walk.floor, "top": walk.top, "after": walk.after})


def arrive(connection: Connection, top: int) -> None:
    """A walk has come down to the cursor: move the cursor up to `top`, and forget the walk."""
    connection.execute(_ARRIVE, {"top": top})


def newest_received(connection: Connection) -> datetime | None:
    """When the last event came in, by whatever way; None when none ever did."""
    newest: datetime | None = connection.execute(_NEWEST).scalar_one()
    return newest


_PROGRESS = text(
    "SELECT reached_created, walk_from, walk_top, walk_after,"
    " extract(epoch FROM now() - moved_at) AS idle_seconds FROM reconcile_progress"
)
_KEEP_PLACE = text(
    """
    INSERT INTO reconcile_progress (walk_from, walk_top, walk_after) VALUES (:floor, :top, :after)
    ON CONFLICT (only_row) DO UPDATE
    SET walk_from = EXCLUDED.walk_from, walk_top = EXCLUDED.walk_top,
        walk_after = EXCLUDED.walk_after, moved_at = now()
    """
)
_ARRIVE = text(
    """
    INSERT INTO reconcile_progress AS kept (reached_created) VALUES (:top)
    ON CONFLICT (only_row) DO UPDATE
    SET reached_created = greatest(kept.reached_created, EXCLUDED.reached_created),
        walk_from = NULL, walk_top = NULL, walk_after = NULL, moved_at = now()
    """
)
_NEWEST = text("SELECT max(received_at) FROM webhook_events")
