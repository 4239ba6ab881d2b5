"""Cuts lists into pages: opaque cursors that say where the next page begins.

A cursor is a position in one list, not a number of rows to skip, so rows that arrive while
someone reads neither repeat nor hide others. It grants nothing: every page asks again whose rows
these are.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from db.queries import TimedPosition
from ingest.http.problems import ProblemType

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
INVALID_CURSOR = ProblemType(
    422, "invalid_cursor", "The cursor is not one that this list gave out; start without it."
)
# Far more than any cursor needs, far less than would be worth sending.
_CURSOR_LENGTH_MAX = 1024
_ID_MAX = 2**63 - 1

Row = TypeVar("Row")


def page(
    rows: Sequence[Row], limit: int, cursor_of: Callable[[Row], str]
) -> dict[str, Sequence[Row] | str | None]:
    """A page of at most `limit` rows; pass one row more, if there is one, to have a next page."""
    shown = rows[:limit]
    return {"items": shown, "next_cursor": cursor_of(shown[-1]) if len(rows) > limit else None}


def number_cursor(name: str, position: int) -> str:
    """The cursor after a row that is ordered by number; `name` is the list's."""
    return _encode([name, position])


def timed_cursor(name: str, position: TimedPosition) -> str:
    """The cursor after a row that is ordered by time and id."""
    return _encode([name, position[0].astimezone(UTC).isoformat(), position[1]])


def number_position(name: str, cursor: str | None) -> int | None:
    """Where to go on in a list that is ordered by number; raises a 422 for a foreign cursor."""
    match _decode(cursor):
        case None:
            return None
        case [str(list_name), int(position)] if list_name == name and abs(position) <= _ID_MAX:
            return int(position)
    raise INVALID_CURSOR.problem()


def timed_position(name: str, cursor: str | None) -> TimedPosition | None:
    """Where to go on in a list that is ordered by time and id; raises a 422 as above."""
    match _decode(cursor):
        case None:
            return None
        case [str(list_name), str(time), str(row_id)] if list_name == name and "\0" not in row_id:
            return _time(time), row_id
    raise INVALID_CURSOR.problem()


def _encode(position: list[object]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def _decode(cursor: str | None) -> Any:  # noqa: ANN401 - whatever a stranger put there.
    if not cursor:  # An empty one is what a form sends where nobody filled it in.
        return None
    if len(cursor) > _CURSOR_LENGTH_MAX or not cursor.isascii():
        raise INVALID_CURSOR.problem()
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        return orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True)) or []
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise INVALID_CURSOR.problem() from error


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise INVALID_CURSOR.problem() from error
    if time.tzinfo is None:
        raise INVALID_CURSOR.problem()
    return time
