"""Destinations: who is told by webhook, how it answers, and what a person does about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, text

from db.outbox.deliveries import LEASE_SECONDS

# The secret before goes on signing for so long, so that a receiver can change over.
OLD_SECRET_HOURS = 24


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination as it stands; without types it hears all. `secrets` sign, the newest first.

    `failing_seconds` is for how long no attempt has succeeded; `waiting` counts users with
    something still to be told.
    """

    id: str
    url: str
    types: Sequence[str]
    secrets: Sequence[str]
    created_at: datetime
    paused_at: datetime | None
    paused_why: str | None
    failures: int
    failing_seconds: float
    last_error: str | None

    def __repr__(self) -> str:
        """Without the secrets: a repr ends in logs."""
        return f"Destination({self.id!r}, {self.url!r})"


def everyone(connection: Connection) -> list[Destination]:
    """Every destination, the oldest first."""
    return [_destination(row) for row in connection.execute(_ALL).mappings()]


def due(connection: Connection) -> list[Destination]:
    """The destinations that may be tried now."""
    return [_destination(row) for row in connection.execute(_DUE).mappings()]


def find(connection: Connection, destination_id: str) -> Destination | None:
    """One destination; None where there is no such."""
    row = connection.execute(_ONE, {"id": destination_id}).mappings().one_or_none()
    return _destination(row) if row else None


def exist(connection: Connection) -> bool:
    """Whether there is any destination."""
    return bool(connection.execute(_EXIST).scalar_one())


@dataclass(frozen=True, slots=True)
class States:
    """How many destinations stand how."""

    well: int
    failing: int
    paused: int


def states(connection: Connection) -> States:
    """How many destinations are told, fail, or are paused by themselves or by a person."""
    return States(*connection.execute(_STATES).one())


def waiting(connection: Connection, destination_id: str) -> int:
    """How many users a destination is still to be told something of."""
    return int(connection.execute(_WAITING, {"id": destination_id}).scalar_one())


def add(
    connection: Connection, destination_id: str, url: str, secret: str, types: Sequence[str]
) -> None:
    """A new destination; it is told what changes from now on."""
    values = {"id": destination_id, "url": url, "secret": secret}
    connection.execute(_ADD, values | {"types": orjson.dumps(list(types)).decode()})


def rotate(connection: Connection, destination_id: str, secret: str) -> None:
    """Sign with another secret, and for a day with the one before as well."""
    values = {"id": destination_id, "secret": secret, "hours": OLD_SECRET_HOURS}
    connection.execute(_ROTATE, values)


def pause(connection: Connection, destination_id: str, why: str) -> None:
    """Tell a destination nothing until it is resumed; what it lacks is kept."""
    connection.execute(_PAUSE, {"id": destination_id, "why": why})


def resume(connection: Connection, destination_id: str) -> None:
    """Go on at once where a pause or failures had held a destination up."""
    connection.execute(_RESUME, {"id": destination_id})
    _wake(connection, destination_id)


def remove(connection: Connection, destination_id: str) -> None:
    """Forget a destination and what it was told."""
    connection.execute(_REMOVE, {"id": destination_id})


def resend(
    connection: Connection,
    destination_id: str,
    *,
    since: datetime | None = None,
    types: Sequence[str] = (),
    user_id: str | None = None,
) -> int:
    """Have kept messages told once more; returns how many. Those not told yet come anyway."""
    wanted = {"id": destination_id, "since": since, "types": list(types), "user": user_id}
    # Users first, then wishes: in the order in which a delivery is recorded.
    connection.execute(_LOCK_USERS, wanted)
    count = connection.execute(_RESEND, wanted).rowcount
    connection.execute(_WAKE_RESENT, {"id": destination_id})
    return int(count)


def succeeded(connection: Connection, destination_id: str, *, was_away: bool) -> None:
    """Note that a destination answers again; after an outage nobody waits out a long pause.

    In a transaction of its own: whoever holds a user's row here could wait for another's.
    """
    connection.execute(_WELL, {"id": destination_id})
    if was_away:
        _wake(connection, destination_id)


def failed(
    connection: Connection,
    destination_id: str,
    error: str,
    *,
    pause_seconds: float,
    failing_seconds_max: float,
) -> bool:
    """Note a failure; says whether the destination is paused because everything failed so long."""
    values = {
        "id": destination_id,
        "error": error,
        "pause": pause_seconds,
        "longest": failing_seconds_max,
    }
    return bool(connection.execute(_FAILED, values).scalar_one_or_none())


def _wake(connection: Connection, destination_id: str) -> None:
    """End every long pause of a destination's users."""
    connection.execute(_AT_ONCE, {"id": destination_id, "lease": LEASE_SECONDS})


def _destination(row: object) -> Destination:
    return Destination(**dict(row))  # type: ignore[call-overload]  # Rows are typed by their query.


_COLUMNS = """
    id, url, types,
    CASE WHEN old_secret_until > now() THEN ARRAY[secret, old_secret] ELSE ARRAY[secret] END
        AS secrets,
    created_at, paused_at, paused_why, failures,
    CAST(coalesce(extract(epoch FROM now() - failing_since), 0) AS float8) AS failing_seconds,
    last_error
"""
_ALL = text(f"SELECT {_COLUMNS} FROM destinations ORDER BY created_at, id")  # noqa: S608 - ours.
_ONE = text(f"SELECT {_COLUMNS} FROM destinations WHERE id = :id")  # noqa: S608 - as above.
_DUE = text(
    f"SELECT {_COLUMNS} FROM destinations WHERE paused_at IS NULL"  # noqa: S608 - as above.
    " AND coalesce(next_attempt_at <= now(), true)"
)
_STATES = text(
    "SELECT count(*) FILTER (WHERE paused_at IS NULL AND failures = 0),"
    " count(*) FILTER (WHERE paused_at IS NULL AND failures > 0),"
    " count(*) FILTER (WHERE paused_at IS NOT NULL) FROM destinations"
)
_EXIST = text("SELECT EXISTS (SELECT FROM destinations)")
_WAITING = text(
    "SELECT count(*) FROM destination_users"
    " WHERE destination_id = :id AND next_attempt_at IS NOT NULL"
)
_ADD = text(
    "INSERT INTO destinations (id, url, secret, types)"
    " VALUES (:id, :url, :secret, CAST(:types AS jsonb))"
)
_ROTATE = text(
    "UPDATE destinations SET old_secret = secret, secret = :secret,"
    " old_secret_until = now() + make_interval(hours => :hours) WHERE id = :id"
)
_PAUSE = text(
    "UPDATE destinations SET paused_at = coalesce(paused_at, now()), paused_why = :why"
    " WHERE id = :id"
)
_RESUME = text(
    "UPDATE destinations SET paused_at = NULL, paused_why = NULL, failures = 0,"
    " failing_since = NULL, next_attempt_at = NULL, last_error = NULL WHERE id = :id"
)
# Who waits no longer than a lease lasts may be leased, and is told by somebody at this moment.
_AT_ONCE = text(
    """
    WITH waiting AS (
        SELECT user_id FROM destination_users
        WHERE destination_id = :id AND failures > 0
          AND next_attempt_at > now() + make_interval(secs => :lease)
        ORDER BY user_id FOR UPDATE
    )
    UPDATE destination_users AS woken SET next_attempt_at = now()
    FROM waiting WHERE woken.destination_id = :id AND woken.user_id = waiting.user_id
    """
)
_REMOVE = text("DELETE FROM destinations WHERE id = :id")
_LOCK_USERS = text(
    "SELECT FROM destination_users WHERE destination_id = :id"
    " AND (CAST(:user AS text) IS NULL OR user_id = :user) ORDER BY user_id FOR UPDATE"
)
_RESEND = text(
    """
    INSERT INTO destination_resends (destination_id, user_id, version)
    SELECT destinations.id, outbox.user_id, outbox.version
    FROM outbox JOIN destinations ON destinations.id = :id
    WHERE (CAST(:since AS timestamptz) IS NULL OR outbox.created_at >= :since)
      AND (CAST(:user AS text) IS NULL OR outbox.user_id = :user)
      AND CASE WHEN CAST(:types AS text[]) = '{}'
               THEN destinations.types = '[]' OR jsonb_exists(destinations.types, outbox.type)
               ELSE outbox.type = ANY(CAST(:types AS text[])) END
    ORDER BY outbox.user_id, outbox.version
    ON CONFLICT (destination_id, user_id, version) DO UPDATE SET version = EXCLUDED.version
    """
)
_WAKE_RESENT = text(
    """
    INSERT INTO destination_users (destination_id, user_id, version, wanted, next_attempt_at)
    SELECT destination_id, user_id, max(version), max(version), now()
    FROM destination_resends WHERE destination_id = :id GROUP BY destination_id, user_id
    ORDER BY user_id
    ON CONFLICT (destination_id, user_id) DO UPDATE
    SET next_attempt_at = coalesce(destination_users.next_attempt_at, now())
    """
)
_WELL = text(
    "UPDATE destinations SET failures = 0, failing_since = NULL, next_attempt_at = NULL,"
    " last_error = NULL WHERE id = :id AND failures > 0"
)
_FAILED = text(
    """
    UPDATE destinations AS destination
    SET failures = failures + 1, failing_since = coalesce(failing_since, now()),
        last_error = :error, next_attempt_at = now() + make_interval(secs => :pause),
        paused_at = CASE WHEN failing_since < now() - make_interval(secs => :longest)
                         THEN now() END,
        paused_why = CASE WHEN failing_since < now() - make_interval(secs => :longest)
                          THEN 'every delivery failed for a day: ' || :error END
    WHERE id = :id AND paused_at IS NULL
    RETURNING paused_at IS NOT NULL
    """
)
