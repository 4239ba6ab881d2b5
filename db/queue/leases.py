"""Leases stored events: an attempt is counted, and the next one planned, before it begins.

So a poison message, an event that kills its process, is met as often as its plan allows and no
more. What this decides is committed before anyone looks into the events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from db.queue import attempts
from db.queue.attempts import Attempt
from domain.events import Delivery, EventStatus

# The next attempt at a leased event is due after this long, in case its process dies. Longer than a
# task may take, and short enough that a killed worker delays what it held by 30 s at most, although
# that is then applied one by one.
LEASE_SECONDS = 18.0
# What the inbox says of a leased event; what says so later on was never finished.
UNDER_WAY = "A try has begun and not ended: it is under way, or its process died."
# And of one that is known to have outlived its process.
KILLED = "A try was never finished: its process died or ran out of time."


@dataclass(frozen=True, slots=True)
class Leased:
    """A leased event; `attempts` counts those before this one.

    `is_quarantined`: a process may have died of it, so it is leased alone. `is_poison`: its last
    attempt was one of those, and no further one is to be made.
    """

    delivery: Delivery
    attempts: int
    is_quarantined: bool
    is_poison: bool


def take(connection: Connection, limit: int, retry_delays_seconds: Sequence[float]) -> list[Leased]:
    """Up to `limit` events that wait and are due, longest first; else one in quarantine.

    They are nobody else's until the lease has run out, or in quarantine until the next attempt
    is due by the plan. Commit before looking into them.
    """
    wanted = {
        "under_way": UNDER_WAY,
        "killed": KILLED,
        "lease": LEASE_SECONDS,
        "delays": list(retry_delays_seconds),
    }
    rows = connection.execute(_TAKE, {**wanted, "quarantined": False, "limit": limit}).all()
    if rows:
        return [_leased(row, is_quarantined=False) for row in rows]
    rows = connection.execute(_TAKE, {**wanted, "quarantined": True, "limit": 1}).all()
    deaths = [_death(row) for row in rows if row.was_under_way and not row.is_poison]
    attempts.note(connection, deaths)
    return [_leased(row, is_quarantined=True) for row in rows]


def _leased(row: Row[Any], *, is_quarantined: bool) -> Leased:
    return Leased(
        Delivery(row.id, row.type, int(row.created), int(row.received_ms), bytes(row.body)),
        attempts=row.attempts - 1,
        is_quarantined=is_quarantined,
        is_poison=row.is_poison,
    )


def _death(row: Row[Any]) -> Attempt:
    """The attempt before this one, which left no record of its own."""
    is_first = row.attempts == 2  # noqa: PLR2004 - this attempt is counted already.
    return Attempt(row.id, "delivery" if is_first else "retry", EventStatus.FAILED.value, KILLED)


def lock_leased(connection: Connection, numbers: Mapping[str, int]) -> set[str]:
    """Those of the events whose lease nobody has taken since; locked until the commit.

    `numbers` has the number of the attempt that each was leased for.
    """
    wanted = {"ids": list(numbers), "attempts": list(numbers.values())}
    return {row.id for row in connection.execute(_LOCK_LEASED, wanted)}


def give_back(connection: Connection, leased: Sequence[Leased]) -> None:
    """End leases of what could not be tried through no fault of its own: due at once, uncounted."""
    wanted = {
        "ids": [event.delivery.event_id for event in leased],
        "attempts": [event.attempts + 1 for event in leased],
        "errors": [KILLED if event.is_quarantined else None for event in leased],
        "under_way": UNDER_WAY,
    }
    connection.execute(_GIVE_BACK, wanted)


_TAKE = text(
    """
    WITH chosen AS (
        SELECT id, error = :under_way AS was_under_way,
               :quarantined AND attempts > cardinality(CAST(:delays AS float8[])) AS is_poison
        FROM webhook_events
        WHERE status IN ('received', 'failed') AND next_attempt_at <= now()
          AND type <> ALL (ARRAY(SELECT type FROM paused_types))
          AND coalesce(error IN (:under_way, :killed), false) = :quarantined
        ORDER BY next_attempt_at, id
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    UPDATE webhook_events AS event
    SET status = CASE WHEN :quarantined THEN 'failed' ELSE event.status END,
        attempts = event.attempts + CASE WHEN chosen.is_poison THEN 0 ELSE 1 END,
        next_attempt_at = now() + interval '1 second' * greatest(
            CAST(:lease AS float8),
            CASE WHEN :quarantined THEN (CAST(:delays AS float8[]))[event.attempts + 1] END),
        error = :under_way
    FROM chosen WHERE event.id = chosen.id
    RETURNING event.id, event.type, extract(epoch FROM event.created_at) AS created,
              extract(epoch FROM event.received_at) * 1000 AS received_ms, event.body,
              event.attempts, chosen.was_under_way, chosen.is_poison
    """
)
_LOCK_LEASED = text(
    """
    SELECT event.id
    FROM webhook_events AS event
    JOIN unnest(CAST(:ids AS text[]), CAST(:attempts AS integer[])) AS ours (id, attempts)
      ON event.id = ours.id AND event.attempts = ours.attempts
    WHERE event.status IN ('received', 'failed')
    ORDER BY event.id
    FOR UPDATE OF event SKIP LOCKED
    """
)
_GIVE_BACK = text(
    """
    WITH ours AS (
        SELECT event.id, given.error
        FROM webhook_events AS event
        JOIN unnest(CAST(:ids AS text[]), CAST(:attempts AS integer[]), CAST(:errors AS text[]))
             AS given (id, attempts, error)
          ON event.id = given.id AND event.attempts = given.attempts
        WHERE event.status IN ('received', 'failed') AND event.error = :under_way
        ORDER BY event.id
        FOR UPDATE OF event SKIP LOCKED
    )
    UPDATE webhook_events AS event
    SET attempts = event.attempts - 1, next_attempt_at = now(), error = ours.error
    FROM ours WHERE event.id = ours.id
    """
)
