"""How rows of events get into the inbox: many by COPY, few by a statement.

Who calls sees no difference (`db.queue.inbox.insert`); a row by COPY costs half
(docs/decisions/0022).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from db import copying
from db.copying import NULL, of_bytes, of_integer, of_milliseconds, of_moment, of_text, of_word
from db.packed_bytes import pack
from domain.events import Delivery, EventStatus

if TYPE_CHECKING:
    from db.queue.inbox import Outcome

# Stripe allows 500 in metadata; PostgreSQL indexes some 2,700 bytes, of which one takes up to 4.
NAME_LENGTH_MAX = 600


def write(
    connection: Connection,
    ordered: Sequence[Delivery],
    outcomes: "Mapping[str, Outcome]",
    sources: Mapping[str, str],
) -> set[str]:
    """Write those that are not there yet, in this order; returns their ids.

    `outcomes` and `sources` are by event id.
    """
    if len(ordered) >= copying.COPIED_MIN:
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
    outcomes: "Mapping[str, Outcome]",
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
    delivery: Delivery, outcome: "Outcome", source: str, began: datetime, finished: bytes
) -> tuple[bytes, ...]:
    """A row, in the order of `_COPIED`; `began` is when the transaction did: retries count on."""
    delay, status = outcome.retry_in_seconds, outcome.status
    return (
        of_text(delivery.event_id),
        of_word(delivery.event_type),
        of_milliseconds(delivery.created * 1_000),
        of_word(status),
        _of_name(outcome.object_id),
        _of_name(outcome.customer_id),
        _of_name(outcome.user_id),
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
    outcomes: "Mapping[str, Outcome]",
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


def _row(delivery: Delivery, outcome: "Outcome") -> dict[str, object]:
    return {
        "id": delivery.event_id,
        "type": delivery.event_type,
        "created": delivery.created,
        "received_ms": delivery.received_ms,
        "status": outcome.status,
        "object_id": indexable(outcome.object_id),
        "customer_id": indexable(outcome.customer_id),
        "user_id": indexable(outcome.user_id),
        "note": outcome.note,
        "error": outcome.error,
        "delay": outcome.retry_in_seconds,
        "signature": delivery.signature or None,
    }


def _of_name(name: str | None) -> bytes:
    return NULL if name is None or len(name) > NAME_LENGTH_MAX else of_text(name)


def indexable(name: str | None) -> str | None:
    """A name that an index can hold, else nothing: the failure of an event must be recordable."""
    return name if name is None or len(name) <= NAME_LENGTH_MAX else None


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
