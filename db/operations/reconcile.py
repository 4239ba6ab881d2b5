"""How far Stripe's list of events has been read: a cursor, and the window of a reading under way.

The list is read newest first, so the cursor moves only when a reading has come down to it; until
then the window is kept, and a reading that was interrupted goes on in it.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from db.operations import redis_seen
from db.operations.redis_seen import Reread


@dataclass(frozen=True, slots=True)
class Window:
    """What a reading is to cover: from the second `newest` down to `oldest`, both Stripe's.

    `after` is the event that was read last. `change` is the change of Redis that it is read for.
    """

    oldest: int
    newest: int
    after: str
    change: datetime | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where reconciling stands.

    Everything up to the second `cursor` has been read (None: never). `idle_seconds` is how long
    ago a reading moved. `reread` is what is to be read anew, because Redis is another than before.
    """

    cursor: int | None = None
    window: Window | None = None
    idle_seconds: float = 0.0
    reread: Reread | None = None


def progress(connection: Connection) -> Progress:
    """Where it stands now."""
    row = connection.execute(_PROGRESS).one_or_none()
    reread = redis_seen.reread(connection)
    if row is None:
        return Progress(reread=reread)
    window = None
    if row.walk_after is not None:
        window = Window(row.walk_from, row.walk_top, row.walk_after, row.walk_change)
    return Progress(row.reached_created, window, float(row.idle_seconds), reread)


def keep_window(connection: Connection, window: Window) -> None:
    """Remember how far a reading has come. Commit it with the events it read."""
    connection.execute(_KEEP_WINDOW, asdict(window))


def move_cursor(connection: Connection, newest: int) -> None:
    """A reading has come down to the cursor: move it up to `newest`, and close the window."""
    connection.execute(_MOVE_CURSOR, {"newest": newest})


def look_again(connection: Connection, since: int) -> None:
    """What happened at Stripe from this second on is to be read once more."""
    connection.execute(_LOOK_AGAIN, {"since": since})


def newest_received(connection: Connection) -> datetime | None:
    """When the last event came in, by whatever way; None when none ever did."""
    newest: datetime | None = connection.execute(_NEWEST).scalar_one()
    return newest


_PROGRESS = text(
    "SELECT reached_created, walk_from, walk_top, walk_after, walk_change,"
    " extract(epoch FROM now() - moved_at) AS idle_seconds FROM reconcile_progress"
)
_KEEP_WINDOW = text(
    """
    INSERT INTO reconcile_progress (walk_from, walk_top, walk_after, walk_change)
    VALUES (:oldest, :newest, :after, :change)
    ON CONFLICT (only_row) DO UPDATE
    SET walk_from = EXCLUDED.walk_from, walk_top = EXCLUDED.walk_top,
        walk_after = EXCLUDED.walk_after, walk_change = EXCLUDED.walk_change, moved_at = now()
    """
)
_MOVE_CURSOR = text(
    """
    INSERT INTO reconcile_progress AS kept (reached_created) VALUES (:newest)
    ON CONFLICT (only_row) DO UPDATE
    SET reached_created = greatest(kept.reached_created, EXCLUDED.reached_created),
        walk_from = NULL, walk_top = NULL, walk_after = NULL, walk_change = NULL,
        moved_at = now()
    """
)
# A window that is kept would end in moving the cursor up again.
_LOOK_AGAIN = text(
    """
    UPDATE reconcile_progress
    SET reached_created = least(reached_created, :since), walk_from = NULL, walk_top = NULL,
        walk_after = NULL, walk_change = NULL, moved_at = now()
    """
)
_NEWEST = text("SELECT max(received_at) FROM webhook_events")
