"""What an upgrade's comparison came to: every fact that the two versions tell differently."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from db.endpoints.changes import Change
from domain.endpoints.comparison import Difference


def judged(
    connection: Connection, change: Change, subject: str, found: Sequence[Difference]
) -> bool:
    """Keep what a comparison came to; says whether differences came or went."""
    wanted = {"change": change.id, "subject": subject}
    before = {(row.object_id, row.path): row for row in connection.execute(_KNOWN, wanted)}
    drop(connection, change, subject)
    for difference in found:
        key = (difference.object_id, difference.path)
        connection.execute(
            _ADD_DIFFERENCE,
            {
                **wanted,
                "object": difference.object_id,
                "path": difference.path,
                "before": _text(difference.before),
                "after": _text(difference.after),
                "excuse": difference.excuse,
                "seen": before[key].seen_at if key in before else None,
            },
        )
    connection.execute(_JUDGED, wanted)
    open_before = {key for key, row in before.items() if not row.excuse}
    open_now = {(each.object_id, each.path) for each in found if not each.excuse}
    return open_before != open_now


def listed(connection: Connection, change: Change) -> Sequence[Row[Any]]:
    """Every fact that differs, object by object, those without an excuse first."""
    return connection.execute(_DIFFERENCES, {"change": change.id}).all()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def drop(connection: Connection, change: Change, subject: str) -> None:
    """Forget what differed of a subject."""
    connection.execute(_DROP_DIFFERENCES, {"change": change.id, "subject": subject})


_KNOWN = text(
    "SELECT object_id, path, excuse, seen_at FROM shadow_differences"
    " WHERE change_id = :change AND subject = :subject"
)
_DROP_DIFFERENCES = text(
    "DELETE FROM shadow_differences WHERE change_id = :change AND subject = :subject"
)
_ADD_DIFFERENCE = text(
    """
    INSERT INTO shadow_differences
        (change_id, subject, object_id, path, before, after, excuse, seen_at)
    VALUES (:change, :subject, :object, :path, :before, :after, :excuse,
            coalesce(CAST(:seen AS timestamptz), now()))
    """
)
_JUDGED = text(
    "UPDATE shadow_events SET judged_at = now() WHERE change_id = :change AND subject = :subject"
)
_DIFFERENCES = text(
    "SELECT subject, object_id, path, before, after, excuse, seen_at FROM shadow_differences"
    " WHERE change_id = :change ORDER BY excuse <> '', object_id, path"
)
