"""Who is to be told what: each destination with each of its users, in order, at its own time.

A user with new messages is assigned to every destination. A worker then leases a destination's
users, one row each, so two workers never tell one user at once; a lease that ran out is anybody's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.outbox.messages import Written

# A destination also hears what was written so shortly before it was added: a transaction that
# began earlier may commit later, and a message twice does no harm.
MARGIN_SECONDS = 60
# For so long a user of a destination belongs to the worker who tells them.
LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Leased:
    """A user whose messages after `version`, up to `wanted` at least, are to be told.

    `failing_seconds` is for how long every attempt has failed; 0 where the last one did not.
    """

    user_id: str
    version: int
    wanted: int
    failures: int
    failing_seconds: float


@dataclass(frozen=True, slots=True)
class ToTell:
    """A message that a destination is to be told; `wish` names the wish to be told it again.

    A wish that comes while the message is on its way is another one, and is not met by it.
    """

    message: Written
    wish: str | None = None


def assign(connection: Connection, *, limit: int = 500) -> int:
    """Assign users with new messages to every destination; returns how many users it were."""
    users = connection.execute(_TAKE_PENDING, {"limit": limit}).all()
    if users:
        values = {
            "users": [row.user_id for row in users],
            "versions": [row.version for row in users],
            "margin": MARGIN_SECONDS,
        }
        connection.execute(_ASSIGN, values)
    return len(users)


def lease(connection: Connection, destination_id: str, *, limit: int) -> list[Leased]:
    """Users of a destination whose turn it is, the longest due first."""
    wanted = {"destination": destination_id, "limit": limit, "seconds": LEASE_SECONDS}
    return [Leased(**row) for row in connection.execute(_LEASE, wanted).mappings()]


def messages_for(
    connection: Connection, destination_id: str, leased: Leased, *, limit: int
) -> list[ToTell]:
    """What a destination is to be told of a user, in order, and what it is to be told again."""
    wanted = {
        "destination": destination_id,
        "user_id": leased.user_id,
        "version": leased.version,
        "limit": limit,
    }
    rows = connection.execute(_MESSAGES, wanted)
    return [ToTell(Written(*row[:-1]), row.wish) for row in rows]


def told(
    connection: Connection, destination_id: str, user_id: str, version: int, sent: Sequence[ToTell]
) -> None:
    """Record that a destination knows everything of a user up to this version."""
    row = {"destination": destination_id, "user_id": user_id, "version": version}
    # A statement of its own, so that the next one sees the wishes of whoever held the lock.
    connection.execute(_LOCK, row)
    if met := [told for told in sent if told.wish is not None]:
        versions = [told.message.version for told in met]
        wishes = {"sent": versions, "wishes": [told.wish for told in met]}
        connection.execute(_RESENT, row | wishes)
    connection.execute(_TOLD, row)


def failed(
    connection: Connection, destination_id: str, user_id: str, version: int, pause_seconds: float
) -> None:
    """Record that an attempt failed after this version was told; the next one is after a pause."""
    connection.execute(
        _FAILED,
        {
            "destination": destination_id,
            "user_id": user_id,
            "version": version,
            "pause": pause_seconds,
        },
    )


# What is taken up to a limit is chosen in a WITH: a plan may run a subquery once a row, and then
# each run finds the next ones.
_TAKE_PENDING = text(
    """
    WITH pending AS (
        SELECT user_id FROM outbox_users WHERE is_pending LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox_users SET is_pending = false
    FROM pending WHERE outbox_users.user_id = pending.user_id
    RETURNING outbox_users.user_id, outbox_users.version
    """
)
_ASSIGN = text(
    """
    INSERT INTO destination_users (destination_id, user_id, version, wanted, next_attempt_at)
    SELECT destination.id, pending.user_id, known.version, pending.version, now()
    FROM unnest(CAST(:users AS text[]), CAST(:versions AS bigint[]))
             AS pending (user_id, version)
    CROSS JOIN destinations AS destination
    CROSS JOIN LATERAL (
        SELECT coalesce(max(outbox.version), 0) AS version FROM outbox
        WHERE outbox.user_id = pending.user_id
          AND outbox.created_at < destination.created_at - make_interval(secs => :margin)
    ) AS known
    WHERE known.version < pending.version
    ORDER BY destination.id, pending.user_id
    ON CONFLICT (destination_id, user_id) DO UPDATE
    SET wanted = greatest(destination_users.wanted, EXCLUDED.wanted),
        next_attempt_at = coalesce(destination_users.next_attempt_at, now())
    """
)
_LEASE = text(
    """
    WITH due AS (
        SELECT user_id FROM destination_users
        WHERE destination_id = :destination AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE destination_users AS leased SET next_attempt_at = now() + make_interval(secs => :seconds)
    FROM due
    WHERE leased.destination_id = :destination AND leased.user_id = due.user_id
    RETURNING leased.user_id, leased.version, leased.wanted, leased.failures,
              CAST(coalesce(extract(epoch FROM now() - leased.failing_since), 0) AS float8)
                  AS failing_seconds
    """
)
_MESSAGES = text(
    """
    SELECT outbox.user_id, outbox.version, outbox.type, outbox.data, outbox.created_at,
           CAST(wish.xmin AS text) AS wish
    FROM outbox JOIN destinations ON destinations.id = :destination
    LEFT JOIN destination_resends AS wish
        ON wish.destination_id = destinations.id AND wish.user_id = outbox.user_id
           AND wish.version = outbox.version
    WHERE outbox.user_id = :user_id
      AND ((outbox.version > :version
            AND (destinations.types = '[]' OR jsonb_exists(destinations.types, outbox.type)))
           OR outbox.version IN (
               SELECT version FROM destination_resends
               WHERE destination_id = :destination AND user_id = :user_id))
    ORDER BY outbox.version LIMIT :limit
    """
)
_LOCK = text(
    "SELECT FROM destination_users"
    " WHERE destination_id = :destination AND user_id = :user_id FOR UPDATE"
)
_RESENT = text(
    "DELETE FROM destination_resends AS wish"
    " USING unnest(CAST(:sent AS bigint[]), CAST(:wishes AS text[])) AS met (version, wish)"
    " WHERE wish.destination_id = :destination AND wish.user_id = :user_id"
    " AND wish.version = met.version AND CAST(wish.xmin AS text) = met.wish"
)
_TOLD = text(
    """
    UPDATE destination_users
    SET version = greatest(version, :version), failures = 0, failing_since = NULL,
        next_attempt_at = CASE
            WHEN wanted > :version OR EXISTS (
                SELECT FROM destination_resends
                WHERE destination_id = :destination AND user_id = :user_id)
            THEN now() END
    WHERE destination_id = :destination AND user_id = :user_id
    """
)
_FAILED = text(
    """
    UPDATE destination_users
    SET version = greatest(version, :version), failures = failures + 1,
        failing_since = coalesce(failing_since, now()),
        next_attempt_at = now() + make_interval(secs => :pause)
    WHERE destination_id = :destination AND user_id = :user_id
    """
)
