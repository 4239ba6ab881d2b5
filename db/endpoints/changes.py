"""Rotations and upgrades of our webhook endpoint: how far each is. One is under way at most.

Each step is written before what it does at Stripe is taken for done, so that a change that was
broken off anywhere goes on from there.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from db.endpoints import own


class Purpose(StrEnum):
    """Why a second endpoint is made."""

    ROTATE = "rotate"
    UPGRADE = "upgrade"


class State(StrEnum):
    """How far a change is.

    `begun`: the second endpoint may or may not be there yet. `made`: it is, and its secret was
    shown. `enabled`: Stripe delivers to both. `switched`: the second one is the ordinary one now.
    """

    BEGUN = "begun"
    MADE = "made"
    ENABLED = "enabled"
    SWITCHED = "switched"
    DONE = "done"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Change:
    """One rotation or upgrade; `url` is the ordinary one, which the old endpoint has.

    `old_secret_hash` is None where the old endpoint's secret was never seen by us.
    """

    id: int
    purpose: Purpose
    state: State
    kind: str
    url: str
    old_id: str
    new_id: str | None
    from_version: str
    to_version: str
    secret_hash: str | None
    old_secret_hash: str | None
    begun_at: datetime
    enabled_at: datetime | None
    quiet_from: datetime | None


def under_way(connection: Connection) -> Change | None:
    """The change that has not ended; None where none is under way."""
    return _change(connection.execute(_UNDER_WAY).one_or_none())


def last(connection: Connection) -> Change | None:
    """The newest change, whether it has ended or not; it stays as it is until the commit."""
    return _change(connection.execute(_LAST).one_or_none())


def begin(
    connection: Connection,
    purpose: Purpose,
    *,
    kind: str,
    url: str,
    old_id: str,
    from_version: str,
    to_version: str,
    asked_by: str,
) -> Change:
    """Begin a change; the database refuses a second one beside it."""
    given: dict[str, str | None] = {
        "purpose": purpose.value,
        "kind": kind,
        "url": url,
        "old": old_id,
        "from": from_version,
        "to": to_version,
        "by": asked_by,
    }
    noted = own.noted(connection)
    given["old_hash"] = noted.secret_hash if noted and noted.id == old_id else None
    connection.execute(_BEGIN, given)
    change = under_way(connection)
    if change is None:
        raise LookupError("a change that was begun is not there")
    return change


def made(connection: Connection, change: Change, new_id: str, secret_hash: str) -> bool:
    """The second endpoint is there; false where somebody else has made one meanwhile."""
    given = {"id": change.id, "new": new_id, "hash": secret_hash}
    return connection.execute(_MADE, given).one_or_none() is not None


def unmade(connection: Connection, change: Change) -> None:
    """The second endpoint is gone before it delivered: it is to be made again."""
    connection.execute(_UNMADE, {"id": change.id})


def enabled(connection: Connection, change: Change) -> None:
    """Stripe delivers to both from now on."""
    connection.execute(_ENABLED, {"id": change.id})


def disturbed(connection: Connection, change: Change) -> None:
    """A difference came or went: the quiet time begins anew."""
    connection.execute(_DISTURBED, {"id": change.id})


def switched(connection: Connection, change: Change) -> None:
    """The second endpoint is the ordinary one: what it delivers from now on is applied."""
    connection.execute(_SWITCHED, {"id": change.id})


def end(connection: Connection, change: Change, state: State) -> None:
    """The change is over; what the shadow endpoint told is let go."""
    connection.execute(_END, {"id": change.id, "state": state.value})
    connection.execute(_FORGET, {"id": change.id})


def seconds_since(connection: Connection, moment: datetime) -> float:
    """How long ago a moment was, by the database's clock, which wrote it."""
    since = connection.execute(_SECONDS, {"moment": moment}).scalar_one()
    return float(since)


def _change(row: Row[Any] | None) -> Change | None:
    if row is None:
        return None
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it.
    fields |= {"purpose": Purpose(row.purpose), "state": State(row.state)}
    return Change(**fields)


_COLUMNS = (
    "id, purpose, state, kind, url, old_id, new_id, from_version, to_version, secret_hash,"
    " old_secret_hash, begun_at, enabled_at, quiet_from"
)
_UNDER_WAY = text(f"SELECT {_COLUMNS} FROM endpoint_changes WHERE ended_at IS NULL")  # noqa: S608 - our own columns.
_LAST = text(f"SELECT {_COLUMNS} FROM endpoint_changes ORDER BY id DESC LIMIT 1 FOR SHARE")  # noqa: S608 - as above.
_BEGIN = text(
    "INSERT INTO endpoint_changes"
    " (purpose, state, kind, url, old_id, from_version, to_version, asked_by, old_secret_hash)"
    " VALUES (:purpose, 'begun', :kind, :url, :old, :from, :to, :by, :old_hash)"
)
_MADE = text(
    "UPDATE endpoint_changes SET state = 'made', new_id = :new, secret_hash = :hash"
    " WHERE id = :id AND state = 'begun' RETURNING id"
)
_UNMADE = text(
    "UPDATE endpoint_changes SET state = 'begun', new_id = NULL, secret_hash = NULL"
    " WHERE id = :id AND state = 'made'"
)
_ENABLED = text(
    "UPDATE endpoint_changes SET state = 'enabled', enabled_at = now(), quiet_from = now()"
    " WHERE id = :id AND state = 'made'"
)
_DISTURBED = text("UPDATE endpoint_changes SET quiet_from = now() WHERE id = :id")
_SWITCHED = text("UPDATE endpoint_changes SET state = 'switched' WHERE id = :id")
_END = text("UPDATE endpoint_changes SET state = :state, ended_at = now() WHERE id = :id")
_FORGET = text("DELETE FROM shadow_events WHERE change_id = :id")
_SECONDS = text("SELECT EXTRACT(epoch FROM now() - CAST(:moment AS timestamptz))")
