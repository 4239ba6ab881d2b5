"""The attempts at an event: each that failed, was repeated, or was asked for by a person.

An ordinary first success leaves no row here; the inbox says it already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text


@dataclass(frozen=True, slots=True)
class Request:
    """That a person asked for something to be done: who, and why if they said so."""

    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: what it came to, why it was made, and who asked for it (None: nobody did).

    `cause` is `delivery`, `retry`, `replay` or `reconcile`. `traceback` names lines of our code.
    """

    event_id: str
    cause: str
    status: str
    error: str | None = None
    traceback: str | None = None
    request: Request | None = None


def note(connection: Connection, attempts: Sequence[Attempt]) -> None:
    """Keep these attempts, at the time it is now."""
    if attempts:
        connection.execute(
            _INSERT,
            {
                "events": [attempt.event_id for attempt in attempts],
                "causes": [attempt.cause for attempt in attempts],
                "statuses": [attempt.status for attempt in attempts],
                "errors": [attempt.error for attempt in attempts],
                "tracebacks": [attempt.traceback for attempt in attempts],
                "asked_by": [attempt.request and attempt.request.by for attempt in attempts],
                "reasons": [attempt.request and attempt.request.reason for attempt in attempts],
            },
        )


def of(connection: Connection, event_id: str) -> Sequence[Row[Any]]:
    """The attempts at one event, oldest first."""
    return connection.execute(_OF, {"id": event_id}).all()


_INSERT = text(
    """
    INSERT INTO event_attempts (event_id, cause, status, error, traceback, asked_by, reason)
    SELECT * FROM unnest(CAST(:events AS text[]), CAST(:causes AS text[]),
                         CAST(:statuses AS text[]), CAST(:errors AS text[]),
                         CAST(:tracebacks AS text[]), CAST(:asked_by AS text[]),
                         CAST(:reasons AS text[]))
    """
)
_OF = text(
    "SELECT at, cause, status, asked_by, reason, error, traceback"
    " FROM event_attempts WHERE event_id = :id ORDER BY id"
)
