"""Thin events that wait for Stripe to tell what they speak of, and when each object was asked for.

A notice is kept in the transaction that records its event, and deleted once an answer is stored.
Many notices of one object are one question, and no object is asked for twice within a second.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.queue.inbox_rows import NAME_LENGTH_MAX
from domain.events import Notice

# An object is asked for again no sooner than this.
AGAIN_SECONDS = 1.0
# What is remembered of asking is forgotten so much later.
_FORGOTTEN_SECONDS = 60
_SAYS_LENGTH_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Noticed:
    """One notice that waits; see `domain.events.Notice`."""

    event_id: str
    type: str
    created_ms: int
    path: str
    twin_id: str | None


@dataclass(frozen=True, slots=True)
class Asking:
    """An object to be asked for, and all the notices that wait for it.

    `asks` counts answers that helped nothing, `silences` tries without answer.
    """

    object_id: str
    notices: tuple[Noticed, ...]
    asks: int = 0
    silences: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many notices wait, of how many objects, and since how many seconds the oldest does."""

    notices: int
    objects: int
    oldest_seconds: float | None


def keep(connection: Connection, notices: Sequence[Notice]) -> None:
    """Have Stripe asked about these; one that waits already is left as it is."""
    if not notices:
        return
    ordered = sorted(notices, key=lambda notice: notice.id)
    connection.execute(
        _KEEP,
        {
            "events": [notice.id for notice in ordered],
            # A failure of Stripe's own names its object only when it is asked for itself.
            "objects": [(notice.object_id or notice.id)[:NAME_LENGTH_MAX] for notice in ordered],
            "types": [notice.type for notice in ordered],
            "created": [notice.created_ms for notice in ordered],
            "paths": [notice.path or "" for notice in ordered],
            "twins": [notice.twin_id for notice in ordered],
        },
    )


def is_due(connection: Connection) -> bool:
    """Whether some object may be asked for now."""
    return connection.execute(_IS_DUE).first() is not None


def begin(connection: Connection, limit: int, *, lease_seconds: float) -> list[Asking]:
    """Take up to `limit` objects in hand that are due, longest first; commit before asking.

    What is noticed of them later is not in the answer.
    """
    connection.execute(_FORGET, {"seconds": _FORGOTTEN_SECONDS})
    names = connection.execute(_BEGIN, {"limit": limit, "lease": lease_seconds}).all()
    rows = connection.execute(_OF_OBJECTS, {"objects": [row.object_id for row in names]}).all()
    by_object: dict[str, list[Noticed]] = {row.object_id: [] for row in names}
    for row in rows:
        noticed = Noticed(row.event_id, row.type, int(row.created_ms), row.path, row.twin_id)
        by_object[row.object_id].append(noticed)
    return [
        Asking(row.object_id, tuple(by_object[row.object_id]), row.asks, row.silences)
        for row in names
        if by_object[row.object_id]
    ]


def answered(connection: Connection, answers: dict[str, str]) -> None:
    """These events, by id, have their answer: what it is called. Their notices wait no more."""
    if answers:
        ids = sorted(answers)
        notes = [f"answered by {answers[event_id]}" for event_id in ids]
        connection.execute(_DELETE, {"ids": ids})
        connection.execute(_ANSWERED, {"ids": ids, "notes": notes})


def gave_up(connection: Connection, event_ids: Collection[str], says: str) -> None:
    """No answer is to be had: these events are dead, with the reason."""
    ids = sorted(event_ids)
    connection.execute(_DELETE, {"ids": ids})
    connection.execute(_DEAD, {"ids": ids, "says": says[:_SAYS_LENGTH_MAX]})


def rested(connection: Connection, object_ids: Collection[str]) -> None:
    """These were asked for before now: what else is noticed of them may be a second from now."""
    wanted = {"objects": list(object_ids), "again": AGAIN_SECONDS}
    connection.execute(_RESTED, wanted)


def let_go(connection: Connection, object_ids: Collection[str]) -> None:
    """These were taken in hand and not asked for: whoever comes next may ask."""
    connection.execute(_LET_GO, {"objects": list(object_ids)})


def postponed(
    connection: Connection, asking: Asking, says: str, *, pause_seconds: float, silent: bool
) -> None:
    """Nothing was learned (or, `silent`, nothing answered): ask again after the pause."""
    connection.execute(
        _POSTPONED,
        {
            "object": asking.object_id,
            "says": says[:_SAYS_LENGTH_MAX],
            "asks": asking.asks + (not silent),
            "silences": asking.silences + 1 if silent else 0,
            "pause": pause_seconds,
        },
    )


def hasten(connection: Connection) -> int:
    """Stripe answers again: what was postponed because it did not is due now."""
    return connection.execute(_HASTEN).rowcount


def waiting(connection: Connection) -> Waiting:
    """How much waits."""
    row = connection.execute(_WAITING).one()
    return Waiting(row.notices, row.objects, row.oldest_seconds)


def of_event(connection: Connection, event_id: str) -> str | None:
    """What an event waits for, in words; None where it does not wait for Stripe."""
    says: str | None = connection.execute(_OF_EVENT, {"id": event_id}).scalar_one_or_none()
    return says


_KEEP = text(
    """
    INSERT INTO notices (event_id, object_id, type, created_ms, path, twin_id)
    SELECT * FROM unnest(CAST(:events AS text[]), CAST(:objects AS text[]),
                         CAST(:types AS text[]), CAST(:created AS bigint[]),
                         CAST(:paths AS text[]), CAST(:twins AS text[]))
    ON CONFLICT (event_id) DO NOTHING
    """
)
_DUE = """
    FROM notices AS notice LEFT JOIN noticed_objects AS asked USING (object_id)
    WHERE asked.object_id IS NULL OR asked.next_ask_at <= now()
"""
_IS_DUE = text(f"SELECT 1 {_DUE} LIMIT 1")
_FORGET = text(
    "DELETE FROM noticed_objects AS asked"
    " WHERE next_ask_at < now() - :seconds * interval '1 second'"
    " AND NOT EXISTS (SELECT FROM notices WHERE notices.object_id = asked.object_id)"
)
_BEGIN = text(
    f"""
    WITH due AS (
        SELECT notice.object_id, min(notice.noted_at) AS since {_DUE}
        GROUP BY notice.object_id ORDER BY since, notice.object_id LIMIT :limit
    )
    INSERT INTO noticed_objects AS asked (object_id, last_asked_at, next_ask_at)
    SELECT object_id, now(), now() + :lease * interval '1 second' FROM due ORDER BY object_id
    ON CONFLICT (object_id) DO UPDATE
    SET last_asked_at = EXCLUDED.last_asked_at, next_ask_at = EXCLUDED.next_ask_at
    WHERE asked.next_ask_at <= now()
    RETURNING object_id, asks, silences
    """  # noqa: S608 - it is the constant above.
)
_OF_OBJECTS = text(
    "SELECT event_id, object_id, type, created_ms, path, twin_id FROM notices"
    " WHERE object_id = ANY(CAST(:objects AS text[])) ORDER BY created_ms, event_id"
)
_DELETE = text("DELETE FROM notices WHERE event_id = ANY(CAST(:ids AS text[]))")
_ANSWERED = text(
    """
    UPDATE webhook_events AS event
    SET status = 'applied', applied_at = coalesce(event.applied_at, clock_timestamp()),
        attempts = event.attempts + 1, next_attempt_at = NULL, error = NULL, note = new.note
    FROM unnest(CAST(:ids AS text[]), CAST(:notes AS text[])) AS new (id, note)
    WHERE event.id = new.id
    """
)
_DEAD = text(
    """
    UPDATE webhook_events
    SET status = 'dead', attempts = attempts + 1, next_attempt_at = NULL, error = :says
    WHERE id = ANY(CAST(:ids AS text[])) AND status IN ('received', 'failed')
    """
)
_RESTED = text(
    """
    UPDATE noticed_objects
    SET asks = 0, silences = 0, last_answer = NULL,
        next_ask_at = clock_timestamp() + :again * interval '1 second'
    WHERE object_id = ANY(CAST(:objects AS text[]))
    """
)
_LET_GO = text(
    "UPDATE noticed_objects SET next_ask_at = now() WHERE object_id = ANY(CAST(:objects AS text[]))"
)
_POSTPONED = text(
    """
    UPDATE noticed_objects
    SET asks = :asks, silences = :silences, last_answer = :says,
        next_ask_at = now() + :pause * interval '1 second'
    WHERE object_id = :object
    """
)
_HASTEN = text(
    "UPDATE noticed_objects SET next_ask_at = now() WHERE silences > 0 AND next_ask_at > now()"
)
_WAITING = text(
    "SELECT count(*) AS notices, count(DISTINCT object_id) AS objects,"
    " CAST(extract(epoch FROM now() - min(noted_at)) AS float8) AS oldest_seconds FROM notices"
)
_OF_EVENT = text(
    """
    SELECT CASE
        WHEN last_answer IS NOT NULL THEN 'Stripe is asked again for ' || object_id || ' at '
             || to_char(next_ask_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC; '
             || last_answer
        ELSE 'Stripe is to be asked for ' || object_id END
    FROM notices LEFT JOIN noticed_objects USING (object_id) WHERE event_id = :id
    """
)
