"""Takes stored events in hand: a try is counted, and put into the future, before it begins.

So an event that kills its process is met as often as its plan allows and no more. What this
decides is committed before anyone looks into the events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from db.queue import attempts
from db.queue.attempts import Attempt
from domain.events import Delivery, EventStatus

# The next try of an event in hand is due after this long, in case its process dies. Longer than a
# task may take, and short enough that a killed worker delays what it held by 30 s at most, although
# that is then applied one by one.
LEASE_SECONDS = 18.0
# What the inbox says of an event in hand; where it is found later on, the try was never finished.
UNDER_WAY = "A try has begun and not ended: it is under way, or its process died."
# And of one that is known to have outlived its process.
KILLED = "A try was never finished: its process died or ran out of time."


@dataclass(frozen=True, slots=True)
class Taken:
    """A stored event in hand; `attempts` counts the tries before this one.

    `is_suspect`: a process may have died of it, so it is in hand alone. `is_hopeless`: its last
    try was one of those, and no further one is to be made.
    """

    delivery: Delivery
    attempts: int
    is_suspect: bool
    is_hopeless: bool


def take(connection: Connection, limit: int, retry_delays_seconds: Sequence[float]) -> list[Taken]:
    """Up to `limit` events that wait and are due, longest first; one suspect if no other is due.

    They are nobody else's until the lease has run out, or for a suspect until its next try is
    due by the plan. Commit before looking into them.
    """
    wanted = {
        "under_way": UNDER_WAY,
        "killed": KILLED,
        "lease": LEASE_SECONDS,
        "delays": list(retry_delays_seconds),
    }
    calm = connection.execute(_TAKE, {**wanted, "suspects": False, "limit": limit}).all()
    if calm:
        return [_taken(row, is_suspect=False) for row in calm]
    suspects = connection.execute(_TAKE, {**wanted, "suspects": True, "limit": 1}).all()
    deaths = [_death(row) for row in suspects if row.was_under_way and not row.is_hopeless]
    attempts.note(connection, deaths)
    return [_taken(row, is_suspect=True) for row in suspects]


def _taken(row: Row[Any], *, is_suspect: bool) -> Taken:
    return Taken(
        Delivery(row.id, row.type, int(row.created), int(row.received_ms), bytes(row.body)),
        attempts=row.attempts - 1,
        is_suspect=is_suspect,
        is_hopeless=row.is_hopeless,
    )


def _death(row: Row[Any]) -> Attempt:
    """The try before this one, which left no record of its own."""
    is_first = row.attempts == 2  # noqa: PLR2004 - this try is counted already.
    return Attempt(row.id, "delivery" if is_first else "retry", EventStatus.FAILED.value, KILLED)


def claim(connection: Connection, tries: Mapping[str, int]) -> set[str]:
    """Those of the events that are still in the hand that took them; locked until the commit.

    `tries` has the number of the try that each was taken for.
    """
    wanted = {"ids": list(tries), "tries": list(tries.values())}
    return {row.id for row in connection.execute(_CLAIM, wanted)}


def give_back(connection: Connection, taken: Sequence[Taken]) -> None:
    """Let go of what could not be tried through no fault of its own: due at once, not counted."""
    wanted = {
        "ids": [each.delivery.event_id for each in taken],
        "tries": [each.attempts + 1 for each in taken],
        "errors": [KILLED if each.is_suspect else None for each in taken],
        "under_way": UNDER_WAY,
    }
    connection.execute(_GIVE_BACK, wanted)


_TAKE = text(
    """
    WITH chosen AS (
        SELECT id, error = :under_way AS was_under_way,
               :suspects AND attempts > cardinality(CAST(:delays AS float8[])) AS is_hopeless
        FROM webhook_events
        WHERE status IN ('received', 'failed') AND next_attempt_at <= now()
          AND type <> ALL (ARRAY(SELECT type FROM paused_types))
          AND coalesce(error IN (:under_way, :killed), false) = :suspects
        ORDER BY next_attempt_at, id
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    UPDATE webhook_events AS event
    SET status = CASE WHEN :suspects THEN 'failed' ELSE event.status END,
        attempts = event.attempts + CASE WHEN chosen.is_hopeless THEN 0 ELSE 1 END,
        next_attempt_at = now() + interval '1 second' * greatest(
            CAST(:lease AS float8),
            CASE WHEN :suspects THEN (CAST(:delays AS float8[]))[event.attempts + 1] END),
        error = :under_way
    FROM chosen WHERE event.id = chosen.id
    RETURNING event.id, event.type, extract(epoch FROM event.created_at) AS created,
              extract(epoch FROM event.received_at) * 1000 AS received_ms, event.body,
              event.attempts, chosen.was_under_way, chosen.is_hopeless
    """
)
_CLAIM = text(
    """
    SELECT event.id
    FROM webhook_events AS event
    JOIN unnest(CAST(:ids AS text[]), CAST(:tries AS integer[])) AS ours (id, attempts)
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
        JOIN unnest(CAST(:ids AS text[]), CAST(:tries AS integer[]), CAST(:errors AS text[]))
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
