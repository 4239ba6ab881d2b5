"""The inbox: the table of every event received, and the queue of those that still wait."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from db.queue import inbox_rows
from db.queue.inbox_rows import indexable
from domain.events import Delivery, EventStatus

# What is noted of an event that only a newer release can read.
FOR_A_NEWER_WORKER = "left for a worker of a newer release, which can read it"


class Outcome(NamedTuple):
    """What became of an event, as the inbox keeps it.

    `retry_in_seconds` says when a failed event is tried again; None elsewhere. `traceback` is
    kept with the attempt, not with the event.
    """

    status: EventStatus
    object_id: str | None = None
    customer_id: str | None = None
    user_id: str | None = None
    note: str | None = None
    error: str | None = None
    retry_in_seconds: float | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class LockedRow:
    """Where a stored event stands while its row is locked; `attempts` counts those made so far."""

    status: EventStatus
    attempts: int


def store(connection: Connection, deliveries: Sequence[Delivery], *, source: str) -> int:
    """Keep deliveries as `received`, to be applied by the next drain; returns how many were new.

    An event that is there already is left as it is. `source` says who brought it: `webhook`,
    `reconcile`, `fetch`.
    """
    waiting = Outcome(EventStatus.RECEIVED, retry_in_seconds=0.0)
    outcomes = {delivery.event_id: waiting for delivery in deliveries}
    sources = dict.fromkeys(outcomes, source)
    return len(insert(connection, deliveries, outcomes, sources=sources))


def insert(
    connection: Connection,
    deliveries: Sequence[Delivery],
    outcomes: Mapping[str, Outcome],
    *,
    sources: Mapping[str, str],
) -> set[str]:
    """Keep deliveries with what became of them; returns the ids that were not there before.

    `outcomes` and `sources` are by event id.

    Rows are inserted in the order of ids, so two batches never wait for each other. A
    second delivery of the same id in one call must be left out by the caller.
    """
    if not deliveries:
        return set()
    ordered = sorted(deliveries, key=lambda delivery: delivery.event_id)
    return inbox_rows.write(connection, ordered, outcomes, sources)


def _columns(outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {
        "statuses": [outcome.status.value for outcome in outcomes],
        "object_ids": [indexable(outcome.object_id) for outcome in outcomes],
        "customer_ids": [indexable(outcome.customer_id) for outcome in outcomes],
        "user_ids": [indexable(outcome.user_id) for outcome in outcomes],
        "notes": [outcome.note for outcome in outcomes],
        "errors": [outcome.error for outcome in outcomes],
        "delays": [outcome.retry_in_seconds for outcome in outcomes],
    }


def finish(
    connection: Connection, outcomes: Mapping[str, Outcome], attempts: Mapping[str, int]
) -> None:
    """Write what became of events that were stored before, and how many attempts that makes."""
    if not outcomes:
        return
    ids = sorted(outcomes)
    columns = _columns([outcomes[event_id] for event_id in ids])
    counts = [attempts[event_id] for event_id in ids]
    connection.execute(_FINISH, {"ids": ids, "attempts": counts, **columns})


def annotate(connection: Connection, notes: Mapping[str, str]) -> None:
    """Add to the notes of stored events what could not be used of them, and why."""
    if notes:
        ids = sorted(notes)
        connection.execute(_ANNOTATE, {"ids": ids, "notes": [notes[event_id] for event_id in ids]})


def lock_rows(connection: Connection, ids: Collection[str]) -> dict[str, LockedRow]:
    """Lock events whatever their status, waiting for whoever has them, until the commit."""
    rows = connection.execute(_LOCK_ROWS, {"ids": list(ids)})
    return {row.id: LockedRow(EventStatus(row.status), row.attempts) for row in rows}


def known(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of the ids that are in the inbox."""
    return set(connection.execute(_KNOWN, {"ids": list(ids)}).scalars())


def noticed(
    connection: Connection, changes: Sequence[tuple[str, str, int]]
) -> set[tuple[str, str, int]]:
    """Those changes (type, object, second) that a thin event in the inbox tells of.

    One whose answer is not to be had tells of nothing.
    """
    if not changes:
        return set()
    types, objects, seconds = zip(*changes, strict=True)
    rows = connection.execute(
        _NOTICED, {"types": list(types), "objects": list(objects), "seconds": list(seconds)}
    )
    return {(row.type, row.object_id, int(row.created)) for row in rows}


def left_for_newer(connection: Connection) -> int:
    """How many events wait for a worker of a newer release."""
    return int(connection.execute(_LEFT_FOR_NEWER, {"note": FOR_A_NEWER_WORKER}).scalar_one())


def look(connection: Connection) -> tuple[frozenset[str], bool]:
    """The types that are paused, and whether anything else waits that should be tried now."""
    paused, is_due = connection.execute(_LOOK).one()
    return frozenset(paused), is_due


def is_due(connection: Connection) -> bool:
    """Whether anything waits that should be tried now."""
    return connection.execute(_IS_DUE).first() is not None


_FINISH = text(
    """
    UPDATE webhook_events AS event
    SET status = new.status,
        object_id = coalesce(new.object_id, event.object_id),
        customer_id = coalesce(new.customer_id, event.customer_id),
        user_id = coalesce(new.user_id, event.user_id),
        applied_at = CASE WHEN new.status IN ('applied', 'ignored') AND new.status <> event.status
                          THEN clock_timestamp() ELSE event.applied_at END,
        attempts = new.attempts,
        next_attempt_at = now() + new.delay * interval '1 second',
        note = new.note, error = new.error
    FROM unnest(CAST(:ids AS text[]), CAST(:statuses AS text[]), CAST(:object_ids AS text[]),
                CAST(:customer_ids AS text[]), CAST(:user_ids AS text[]), CAST(:notes AS text[]),
                CAST(:errors AS text[]), CAST(:delays AS float8[]), CAST(:attempts AS integer[]))
         AS new (id, status, object_id, customer_id, user_id, note, error, delay, attempts)
    WHERE event.id = new.id
    """
)
_LOCK_ROWS = text(
    "SELECT id, status, attempts FROM webhook_events"
    " WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"
)
_KNOWN = text("SELECT id FROM webhook_events WHERE id = ANY(CAST(:ids AS text[]))")
_NOTICED = text(
    """
    SELECT new.type, new.object_id, new.created
    FROM unnest(CAST(:types AS text[]), CAST(:objects AS text[]), CAST(:seconds AS bigint[]))
         AS new (type, object_id, created)
    JOIN webhook_events AS event
      ON event.object_id = new.object_id AND event.type = 'v1.' || new.type
         AND event.created_at = to_timestamp(new.created) AND event.status <> 'dead'
    """
)
_ANNOTATE = text(
    """
    UPDATE webhook_events AS event SET note = concat_ws('; ', event.note, new.note)
    FROM unnest(CAST(:ids AS text[]), CAST(:notes AS text[])) AS new (id, note)
    WHERE event.id = new.id
    """
)
_LEFT_FOR_NEWER = text(
    "SELECT count(*) FROM webhook_events WHERE status = 'received' AND note = :note"
)
_DUE = (
    "SELECT 1 FROM webhook_events"
    " WHERE status IN ('received', 'failed') AND next_attempt_at <= now()"
    " AND type <> ALL (ARRAY(SELECT type FROM paused_types)) LIMIT 1"
)
_IS_DUE = text(_DUE)
_LOOK = text(
    f"SELECT ARRAY(SELECT type FROM paused_types) AS paused, EXISTS({_DUE}) AS is_due"  # noqa: S608
)
