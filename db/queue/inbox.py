"""The inbox: the table of every event received, and the queue of those that still wait."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from db import copying
from db.copying import NULL, of_bytes, of_integer, of_milliseconds, of_moment, of_text, of_word
from db.packed_bytes import pack
from domain.events import Delivery, EventStatus

# Stripe allows 500 in metadata; PostgreSQL indexes some 2,700 bytes, of which one takes up to 4.
NAME_LENGTH_MAX = 600
# Fewer rows are inserted by one statement: to copy takes three more of them.
COPIED_MIN = 16
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
    if len(ordered) >= COPIED_MIN:
        try:
            with connection.begin_nested():
                return _copy(connection, ordered, outcomes, sources)
        except IntegrityError:
            # Another transaction has brought one of them in this moment: wait for it, row by row.
            pass
    return _insert(connection, ordered, outcomes, sources)


def _copy(
    connection: Connection,
    ordered: Sequence[Delivery],
    outcomes: Mapping[str, Outcome],
    sources: Mapping[str, str],
) -> set[str]:
    """Copy the rows of those that are not there yet; fails where one comes in between."""
    by_id = {delivery.event_id: delivery for delivery in ordered}
    began, now, known = connection.execute(_KNOWN_NOW, {"ids": list(by_id)}).one()
    new = [by_id[event_id] for event_id in sorted(by_id.keys() - set(known))]
    finished = of_moment(now)
    rows = (
        _fields(delivery, outcomes[delivery.event_id], sources[delivery.event_id], began, finished)
        for delivery in new
    )
    copying.copy_in(connection, "webhook_events", _COPIED, rows)
    return {delivery.event_id for delivery in new}


def _fields(
    delivery: Delivery, outcome: Outcome, source: str, began: datetime, finished: bytes
) -> tuple[bytes, ...]:
    """A row, in the order of `_COPIED`; `began` is when the transaction did: retries count on."""
    delay, status = outcome.retry_in_seconds, outcome.status
    return (
        of_text(delivery.event_id),
        of_word(delivery.event_type),
        of_milliseconds(delivery.created * 1_000),
        of_word(status.value),
        of_text(_indexable(outcome.object_id)),
        of_text(_indexable(outcome.customer_id)),
        of_text(_indexable(outcome.user_id)),
        of_bytes(delivery.body),
        of_word(source),
        of_milliseconds(delivery.received_ms),
        finished if status in _FINISHED else NULL,
        _NO_ATTEMPT if status is EventStatus.RECEIVED else _ONE_ATTEMPT,
        NULL if delay is None else of_moment(began + timedelta(seconds=delay)),
        NULL if outcome.note is None else of_text(outcome.note),
        NULL if outcome.error is None else of_text(outcome.error),
        of_text(delivery.signature) if delivery.signature else NULL,
    )


def _insert(
    connection: Connection,
    ordered: Sequence[Delivery],
    outcomes: Mapping[str, Outcome],
    sources: Mapping[str, str],
) -> set[str]:
    bodies = pack(delivery.body for delivery in ordered)
    rows = [
        _row(delivery, outcomes[delivery.event_id])
        | {"source": sources[delivery.event_id], "start": piece.start, "size": piece.size}
        for delivery, piece in zip(ordered, bodies.pieces, strict=True)
    ]
    stored = connection.execute(
        _INSERT, {"rows": orjson.dumps(rows).decode(), "bodies": bodies.literal}
    )
    return set(stored.scalars())


def _row(delivery: Delivery, outcome: Outcome) -> dict[str, object]:
    return {
        "id": delivery.event_id,
        "type": delivery.event_type,
        "created": delivery.created,
        "received_ms": delivery.received_ms,
        "status": outcome.status,
        "object_id": _indexable(outcome.object_id),
        "customer_id": _indexable(outcome.customer_id),
        "user_id": _indexable(outcome.user_id),
        "note": outcome.note,
        "error": outcome.error,
        "delay": outcome.retry_in_seconds,
        "signature": delivery.signature or None,
    }


def _columns(outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {
        "statuses": [outcome.status.value for outcome in outcomes],
        "object_ids": [_indexable(outcome.object_id) for outcome in outcomes],
        "customer_ids": [_indexable(outcome.customer_id) for outcome in outcomes],
        "user_ids": [_indexable(outcome.user_id) for outcome in outcomes],
        "notes": [outcome.note for outcome in outcomes],
        "errors": [outcome.error for outcome in outcomes],
        "delays": [outcome.retry_in_seconds for outcome in outcomes],
    }


def _indexable(name: str | None) -> str | None:
    """A name that an index can hold, else nothing: the failure of an event must be recordable."""
    return name if name is None or len(name) <= NAME_LENGTH_MAX else None


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


def is_due(connection: Connection) -> bool:
    """Whether anything waits that should be tried now."""
    return connection.execute(_IS_DUE).first() is not None


_FINISHED = frozenset({EventStatus.APPLIED, EventStatus.IGNORED})
_COPIED = (
    *("id", "type", "created_at", "status", "object_id", "customer_id", "user_id", "body"),
    *("source", "received_at", "applied_at", "attempts", "next_attempt_at", "note", "error"),
    "signature",
)
_NO_ATTEMPT, _ONE_ATTEMPT = of_integer(0), of_integer(1)
_KNOWN_NOW = text(
    "SELECT now(), clock_timestamp(),"
    " ARRAY(SELECT id FROM webhook_events WHERE id = ANY(CAST(:ids AS text[])))"
)
_INSERT = text(
    """
    INSERT INTO webhook_events
        (id, type, created_at, status, object_id, customer_id, user_id, body, source,
         received_at, applied_at, attempts, next_attempt_at, note, error, signature)
    SELECT id, type, to_timestamp(created), status, object_id, customer_id, user_id,
           substr(CAST(:bodies AS bytea), start, size), source,
           to_timestamp(received_ms / 1000.0),
           CASE WHEN status IN ('applied', 'ignored') THEN clock_timestamp() END,
           CASE WHEN status = 'received' THEN 0 ELSE 1 END,
           now() + delay * interval '1 second', note, error, signature
    FROM json_to_recordset(CAST(:rows AS json)) AS new
        (id text, type text, created bigint, received_ms bigint, start integer, size integer,
         source text, status text, object_id text, customer_id text, user_id text, note text,
         error text, delay float8, signature text)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
    """
)
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
_IS_DUE = text(
    "SELECT 1 FROM webhook_events"
    " WHERE status IN ('received', 'failed') AND next_attempt_at <= now()"
    " AND type <> ALL (ARRAY(SELECT type FROM paused_types)) LIMIT 1"
)
