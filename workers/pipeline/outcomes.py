"""Locks the rows of stored events and writes the outcomes, inside an open transaction."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from db.queue import attempts, inbox, leases
from db.queue.attempts import Attempt
from db.queue.inbox import LockedRow
from domain.events import EventStatus
from workers.pipeline.prepared_event import PreparedEvent


def claimed(connection: Connection, works: Sequence[PreparedEvent]) -> Sequence[PreparedEvent]:
    """The events that this transaction may apply; their rows are locked until the commit.

    A stored event is left out when another worker has leased it since, or when it waits no longer.
    An event that a person asked for is never left out; this waits for its lock.
    """
    stored = [work for work in works if work.is_stored]
    if not stored:
        return works
    taken = {work.delivery.event_id: work.attempts + 1 for work in stored if work.request is None}
    ours = leases.lock_leased(connection, taken) if taken else set()
    asked_for = [work.delivery.event_id for work in stored if work.request is not None]
    locked = inbox.lock_rows(connection, asked_for) if asked_for else {}
    return [
        _again(work, locked.get(work.delivery.event_id))
        for work in works
        if not work.is_stored or work.delivery.event_id in ours | locked.keys()
    ]


def _again(work: PreparedEvent, row: LockedRow | None) -> PreparedEvent:
    return work._replace(was=row.status, attempts=row.attempts) if row else work


def record(connection: Connection, works: Iterable[PreparedEvent]) -> set[str]:
    """Write what becomes of the events; returns the ids whose facts are to be applied."""
    by_id = {work.delivery.event_id: work for work in works}
    recorded = _to_inbox(connection, by_id)
    noted = [_attempt(by_id[key]) for key in sorted(recorded) if _is_noted(by_id[key])]
    attempts.note(connection, noted)
    return recorded


def _to_inbox(connection: Connection, by_id: Mapping[str, PreparedEvent]) -> set[str]:
    stored = {key: work for key, work in by_id.items() if work.is_stored}
    changed = {key: work.outcome for key, work in stored.items() if not work.keeps_status}
    inbox.finish(connection, changed, {key: _attempts(stored[key]) for key in changed})
    new = [work for work in by_id.values() if not work.is_stored] if stored else by_id.values()
    outcomes = {work.delivery.event_id: work.outcome for work in new}
    sources = {work.delivery.event_id: work.source for work in new}
    deliveries = [work.delivery for work in new]
    return inbox.insert(connection, deliveries, outcomes, sources=sources) | stored.keys()


def _attempts(work: PreparedEvent) -> int:
    return work.attempts if work.waits else work.attempts + 1


def _is_noted(work: PreparedEvent) -> bool:
    """Whether this attempt gets a row of its own; a first success is in the inbox alone."""
    if work.waits and work.request is None:
        return False
    is_failure = work.outcome.status in (EventStatus.FAILED, EventStatus.DEAD)
    return is_failure or work.attempts > 0 or work.request is not None


def _attempt(work: PreparedEvent) -> Attempt:
    by_itself = "retry" if work.attempts else "delivery"
    return Attempt(
        work.delivery.event_id,
        "replay" if work.request else by_itself,
        work.outcome.status.value,
        work.outcome.error,
        work.outcome.traceback,
        work.request,
    )
