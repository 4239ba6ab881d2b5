"""Applies a batch of events in one transaction: the only way from an event to the tables.

Webhooks, retries and replays all come through here. Nothing here calls Stripe.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from db.connections import prepared
from db.ledger import locks, unit_of_work
from db.ledger.catalogue import CatalogueCache
from db.questions import notices
from db.queue import inbox
from domain.working_set import Derived
from workers.pipeline.failure import RETRY_DELAYS_SECONDS
from workers.pipeline.outcomes import claimed, record
from workers.pipeline.prepared_event import PreparedEvent, failed, prepare, scheduled

__all__ = [
    "Applied",
    "PreparedEvent",
    "apply",
    "failed",
    "prepare",
    "rehearse",
]


@dataclass(frozen=True, slots=True)
class Applied:
    """A committed batch: its events, the ids that were recorded, and what was derived.

    `busy` are events of which nothing was done, as another transaction had their subjects.
    """

    works: Sequence[PreparedEvent]
    new: Collection[str]
    derived: Derived
    busy: Sequence[PreparedEvent] = ()


def apply(
    engine: Engine,
    works: Sequence[PreparedEvent],
    cache: CatalogueCache,
    *,
    retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
    check: Callable[[Connection, Applied], None] | None = None,
    leaves_busy: bool = False,
) -> Applied:
    """Apply events and record what became of them, in one transaction.

    `check` sees what is about to be committed; nothing is applied when it raises. With
    `leaves_busy`, a few events whose subjects another transaction has are left, instead of making
    all the others wait for it.

    A stored event is left out when it no longer waits or another worker has it, unless a person
    asked for it. One that the inbox turns out to have already has no effect. Raises what the
    database raises: nothing is applied then.
    """

    def run(subjects: Collection[str]) -> Applied:
        with engine.begin() as connection:
            prepared.use(connection)
            # A second try is one that waits.
            if leaves_busy and not subjects:
                hold = _hold_free(connection, works)
            else:
                hold = _hold_all(connection, works, subjects)
            applied = _apply(connection, hold, cache, retry_delays_seconds)
            if check is not None:
                check(connection, applied)
            return applied

    return locks.with_locks(run)


def rehearse(
    engine: Engine,
    works: Sequence[PreparedEvent],
    cache: CatalogueCache,
    look: Callable[[Connection, Applied], None],
) -> Applied:
    """Do what `apply` does, let `look` read the result, then roll everything back."""

    def run(subjects: Collection[str]) -> Applied:
        with engine.connect() as connection:
            try:
                hold = _hold_all(connection, works, subjects)
                applied = _apply(connection, hold, cache, RETRY_DELAYS_SECONDS)
                look(connection, applied)
            finally:
                connection.rollback()
        return applied

    return locks.with_locks(run)


class _Hold(NamedTuple):
    """The subjects that are locked for these works, and the works that another one has."""

    subjects: Collection[str]
    works: Sequence[PreparedEvent]
    busy: Sequence[PreparedEvent] = ()


def _hold_all(
    connection: Connection, works: Sequence[PreparedEvent], subjects: Collection[str]
) -> _Hold:
    facts = [fact for work in works for fact in work.facts]
    names = locks.subjects_of(facts).union(subjects)
    held = locks.acquire(connection, names, locks.unplaced(facts)) if names else names
    return _Hold(held, works)


def _hold_free(connection: Connection, works: Sequence[PreparedEvent]) -> _Hold:
    held, busy = locks.acquire_free(connection, [work.facts for work in works])
    if not busy:
        return _Hold(held, works)
    free = [work for place, work in enumerate(works) if place not in busy]
    return _Hold(held, free, [works[place] for place in sorted(busy)])


def _apply(
    connection: Connection,
    hold: _Hold,
    cache: CatalogueCache,
    retry_delays_seconds: Sequence[float],
) -> Applied:
    ours = [scheduled(work, retry_delays_seconds) for work in claimed(connection, hold.works)]
    new = record(connection, ours)
    notices.keep(
        connection,
        [work.notice for work in ours if work.notice and work.delivery.event_id in new],
    )
    facts = [
        (work.delivery.event_id, fact)
        for work in ours
        if work.delivery.event_id in new
        for fact in work.facts
    ]
    derived = unit_of_work.apply(connection, facts, cache, locked=hold.subjects)
    inbox.annotate(
        connection, {event_id: "; ".join(notes) for event_id, notes in derived.notes.items()}
    )
    return Applied(ours, new, derived, hold.busy)
