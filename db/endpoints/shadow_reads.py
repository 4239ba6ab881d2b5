"""What an upgrade compares: the events of a shadow endpoint with those that the inbox has.

Events are looked at by subject: the customer they are of, else the object they are about.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from db.endpoints import shadow_differences
from db.endpoints.changes import Change
from domain.events import Delivery

# So many halves of pairs are named; the others are counted.
NAMED_MAX = 5
# Clocks differ: what happened so shortly after the shadow endpoint began may have missed it.
BOUNDARY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """What an upgrade has seen so far; `types` are those compared, with how many events of each."""

    pairs: int
    unjudged: int
    types: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Half:
    """An event that only one of the two endpoints has delivered in time."""

    event_id: str
    event_type: str
    in_shadow: bool


@dataclass(frozen=True, slots=True)
class Sides:
    """The events of one subject: what was known before, and what each endpoint delivered."""

    base: Sequence[Row[Any]]
    before: Sequence[Row[Any]]
    after: Sequence[Row[Any]]
    newest_seconds: float


def unfiled(connection: Connection, change: Change, limit: int) -> Sequence[Row[Any]]:
    """Events whose subject nobody has looked for yet, with their bodies."""
    return connection.execute(_UNFILED, {"change": change.id, "limit": limit}).all()


def file(
    connection: Connection, change: Change, event_id: str, subject: str, object_id: str | None
) -> None:
    """Note what an event is about."""
    connection.execute(
        _FILE, {"change": change.id, "id": event_id, "subject": subject, "object": object_id}
    )


def customer_of(connection: Connection, change: Change, object_ids: Collection[str]) -> str | None:
    """The customer of the first of these objects that an event with a customer is about."""
    wanted = {"change": change.id, "ids": list(object_ids)}
    found: str | None = connection.execute(_CUSTOMER_OF, wanted).scalar_one_or_none()
    return found


def refile(connection: Connection, change: Change, subject: str, customer: str) -> None:
    """Move what was filed under an object to the customer that it turned out to be of."""
    wanted = {"change": change.id, "subject": subject, "customer": customer}
    connection.execute(_REFILE, wanted)
    shadow_differences.drop(connection, change, subject)


def to_judge(connection: Connection, change: Change) -> list[str]:
    """The subjects with events that were not compared yet, or that differed."""
    return list(connection.execute(_TO_JUDGE, {"change": change.id}).scalars())


def sides(connection: Connection, change: Change, subject: str) -> Sides:
    """Everything that is to be compared about a subject."""
    wanted = {
        "change": change.id,
        "subject": subject,
        "since": change.enabled_at,
        "boundary": BOUNDARY_SECONDS,
    }
    after = connection.execute(_AFTER, wanted).all()
    ours = connection.execute(_OURS, wanted).all()
    ages = [row.seconds for row in (*after, *(row for row in ours if row.is_before))]
    return Sides(
        base=[row for row in ours if not row.is_before],
        before=[row for row in ours if row.is_before],
        after=after,
        newest_seconds=min(ages, default=0.0),
    )


def seen(connection: Connection, change: Change) -> Seen:
    """How much was compared so far."""
    wanted = {"change": change.id}
    types = {row.type: row.number for row in connection.execute(_TYPES, wanted)}
    unjudged = connection.execute(_UNJUDGED, wanted).scalar_one()
    return Seen(pairs=sum(types.values()), unjudged=unjudged, types=types)


def halves(
    connection: Connection,
    change: Change,
    *,
    ours_only: Collection[str],
    theirs_only: Collection[str],
    types: Collection[str],
    late_seconds: float,
) -> tuple[list[Half], int]:
    """Events that one endpoint delivered so long ago and the other did not: some, and how many.

    `ours_only` and `theirs_only` are types that the other endpoint's version is not sent.
    """
    wanted = {
        "change": change.id,
        "since": change.enabled_at,
        "boundary": BOUNDARY_SECONDS,
        "types": list(types),
        "ours_only": list(ours_only),
        "theirs_only": list(theirs_only),
        "late": late_seconds,
        "limit": NAMED_MAX,
    }
    rows = connection.execute(_HALVES, wanted).all()
    found = [Half(row.id, row.type, row.in_shadow) for row in rows]
    return found, rows[0].total if rows else 0


def missing_here(connection: Connection, change: Change) -> list[Delivery]:
    """What the shadow endpoint delivered and the inbox lacks, as deliveries of our own."""
    rows = connection.execute(_MISSING_HERE, {"change": change.id})
    return [
        Delivery(row.id, row.type, int(row.created), int(row.received_ms), bytes(row.body))
        for row in rows
    ]


def newest_body(connection: Connection) -> bytes | None:
    """The body of the newest event that Stripe posted, compressed; None where none has come."""
    body = connection.execute(_NEWEST_BODY).scalar_one_or_none()
    return None if body is None else bytes(body)


_NEWEST_BODY = text(
    "SELECT body FROM webhook_events WHERE source = 'webhook' ORDER BY received_at DESC LIMIT 1"
)
_UNFILED = text(
    "SELECT id, type, body FROM shadow_events WHERE change_id = :change AND subject IS NULL"
    " ORDER BY received_at LIMIT :limit"
)
_FILE = text(
    "UPDATE shadow_events SET subject = :subject, object_id = :object"
    " WHERE change_id = :change AND id = :id"
)
_CUSTOMER_OF = text(
    """
    SELECT customer_id FROM (
        SELECT customer_id FROM webhook_events
        WHERE object_id = ANY(:ids) AND customer_id IS NOT NULL
        UNION ALL
        SELECT subject FROM shadow_events
        WHERE change_id = :change AND object_id = ANY(:ids) AND subject <> object_id
    ) AS known ORDER BY customer_id LIMIT 1
    """
)
_REFILE = text(
    "UPDATE shadow_events SET subject = :customer, judged_at = NULL"
    " WHERE change_id = :change AND subject = :subject"
)
_TO_JUDGE = text(
    """
    SELECT subject FROM shadow_events
    WHERE change_id = :change AND judged_at IS NULL AND subject IS NOT NULL
    UNION SELECT subject FROM shadow_differences WHERE change_id = :change AND excuse = ''
    ORDER BY 1
    """
)
_AFTER = text(
    "SELECT id, type, body, EXTRACT(epoch FROM clock_timestamp() - received_at) AS seconds"
    " FROM shadow_events WHERE change_id = :change AND subject = :subject ORDER BY created_at, id"
)
# Events that Stripe posted since then are of one side; all others were known, whoever brought them.
_OURS = text(
    """
    WITH shadow AS (
        SELECT id, object_id FROM shadow_events WHERE change_id = :change AND subject = :subject
    ), ids AS (
        SELECT id FROM shadow
        UNION SELECT id FROM webhook_events WHERE customer_id = :subject
        UNION SELECT id FROM webhook_events WHERE object_id IN (SELECT object_id FROM shadow)
    )
    SELECT event.id, event.type, event.body,
           EXTRACT(epoch FROM clock_timestamp() - event.received_at) AS seconds,
           event.id IN (SELECT id FROM shadow) OR (
               event.source = 'webhook'
               AND event.created_at > :since + :boundary * interval '1 second'
           ) AS is_before
    FROM webhook_events AS event JOIN ids USING (id)
    WHERE event.status <> 'ignored' ORDER BY event.created_at, event.id
    """
)
_TYPES = text(
    "SELECT type, count(*) AS number FROM shadow_events"
    " WHERE change_id = :change AND judged_at IS NOT NULL GROUP BY type ORDER BY type"
)
_UNJUDGED = text(
    "SELECT count(*) FROM shadow_events WHERE change_id = :change AND judged_at IS NULL"
)
_HALVES = text(
    """
    WITH late AS (
        SELECT shadow.id, shadow.type, true AS in_shadow
        FROM shadow_events AS shadow LEFT JOIN webhook_events AS event USING (id)
        WHERE shadow.change_id = :change AND event.id IS NULL
          AND shadow.type <> ALL(:theirs_only)
          AND shadow.received_at < now() - :late * interval '1 second'
        UNION ALL
        SELECT event.id, event.type, false
        FROM webhook_events AS event
        LEFT JOIN shadow_events AS shadow ON shadow.id = event.id AND shadow.change_id = :change
        WHERE event.source = 'webhook' AND event.type = ANY(:types)
          AND event.type <> ALL(:ours_only)
          AND event.received_at >= :since
          AND event.created_at > :since + :boundary * interval '1 second'
          AND shadow.id IS NULL AND event.received_at < now() - :late * interval '1 second'
    )
    SELECT id, type, in_shadow, count(*) OVER () AS total FROM late ORDER BY id LIMIT :limit
    """
)
_MISSING_HERE = text(
    """
    SELECT shadow.id, shadow.type, shadow.body, EXTRACT(epoch FROM shadow.created_at) AS created,
           EXTRACT(epoch FROM shadow.received_at) * 1000 AS received_ms
    FROM shadow_events AS shadow LEFT JOIN webhook_events AS event USING (id)
    WHERE shadow.change_id = :change AND event.id IS NULL ORDER BY shadow.created_at, shadow.id
    """
)
