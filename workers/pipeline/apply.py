"""Applies a batch of events in one transaction: the only way from an event to the tables.

Webhooks, retries and replays all come through here. Nothing in here talks to the network but
the database.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection, Engine, text

import db.ledger.catalogue
from db.ledger import unit_of_work
from db.ledger.unit_of_work import StaleLocks
from db.queue import inbox
from domain.catalogue.plans import Catalogue, CatalogueChange
from domain.decode.facts import Fact
from domain.errors import BillingError
from domain.working_set import Derived, Touched, derive_touched, merge_money, merge_parties
from workers.pipeline.failure import RETRY_DELAYS_SECONDS
from workers.pipeline.outcomes import claimed, record
from workers.pipeline.prepared_event import PreparedEvent, failed, prepare, scheduled

__all__ = [
    "Applied",
    "CatalogueCache",
    "PreparedEvent",
    "apply",
    "apply_facts",
    "derive_after",
    "failed",
    "prepare",
    "rehearse",
]

R = TypeVar("R", "Applied", Derived)

# Subjects found to be missing grow with every round; a set that still grows is a bug.
_LOCK_ROUNDS_MAX = 8


@dataclass(slots=True)
class CatalogueCache:
    """The catalogue as last read by this process, read again when it has changed."""

    revision: int = -1
    catalogue: Catalogue = field(default_factory=Catalogue)

    def get(self, connection: Connection) -> Catalogue:
        """The catalogue of now. Call while holding the subjects' locks, which hold it too."""
        revision = db.ledger.catalogue.revision(connection)
        if revision != self.revision:
            self.catalogue = db.ledger.catalogue.load(connection)
            self.revision = revision
        return self.catalogue


@dataclass(frozen=True, slots=True)
class Applied:
    """A committed batch: what was in it, and the ids that had an effect or were recorded."""

    works: Sequence[PreparedEvent]
    new: Collection[str]
    settled: Derived


def apply(
    engine: Engine,
    works: Sequence[PreparedEvent],
    cache: CatalogueCache,
    *,
    retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
    check: Callable[[Connection, Applied], None] | None = None,
) -> Applied:
    """Apply events and record what became of them, in one transaction.

    `check` sees what is about to be committed; nothing is applied when it raises.

    A stored event is left out when it no longer waits or another worker has it, unless a person
    asked for it. One that the inbox turns out to have already has no effect. Raises what the
    database raises: nothing is applied then.
    """

    def run(subjects: Collection[str]) -> Applied:
        with engine.begin() as connection:
            applied = _apply(connection, works, cache, subjects, retry_delays_seconds)
            if check is not None:
                check(connection, applied)
            return applied

    return _with_locks(run)


def rehearse(
    engine: Engine,
    works: Sequence[PreparedEvent],
    cache: CatalogueCache,
    look: Callable[[Connection, Applied], None],
) -> Applied:
    """Do what `apply` does, let `look` see it, then undo all of it."""

    def run(subjects: Collection[str]) -> Applied:
        with engine.connect() as connection:
            try:
                applied = _apply(connection, works, cache, subjects, RETRY_DELAYS_SECONDS)
                look(connection, applied)
            finally:
                connection.rollback()
        return applied

    return _with_locks(run)


def _with_locks(run: Callable[[Collection[str]], R]) -> R:
    """Run a transaction again while it finds that more subjects must be locked."""
    subjects: frozenset[str] = frozenset()
    for _ in range(_LOCK_ROUNDS_MAX):
        try:
            return run(subjects)
        except StaleLocks as stale:
            subjects |= stale.subjects
    raise BillingError(f"The subjects of a batch still grow after {_LOCK_ROUNDS_MAX} rounds.")


def _apply(
    connection: Connection,
    works: Sequence[PreparedEvent],
    cache: CatalogueCache,
    subjects: Collection[str],
    retry_delays_seconds: Sequence[float],
) -> Applied:
    ours = [scheduled(work, retry_delays_seconds) for work in claimed(connection, works)]
    new = record(connection, ours)
    facts = [
        (work.delivery.event_id, fact)
        for work in ours
        if work.delivery.event_id in new
        for fact in work.facts
    ]
    settled = apply_facts(connection, facts, cache, subjects)
    inbox.annotate(
        connection, {event_id: "; ".join(notes) for event_id, notes in settled.notes.items()}
    )
    return Applied(ours, new, settled)


def apply_facts(
    connection: Connection,
    facts: Sequence[tuple[str, Fact]],
    cache: CatalogueCache,
    subjects: Collection[str] = (),
    *,
    again: Mapping[str, str | None] | None = None,
    is_alone: bool = False,
) -> Derived:
    """Lock, load, join, derive, save: inside an open transaction.

    `subjects` are to be locked besides those the facts name. `again` names money objects to be
    settled although no fact touches them, each with the event that is the reason. `is_alone`
    says that nobody else can write these tables (an audit's own), so nothing is locked.
    """
    plain = [fact for _, fact in facts]
    names = unit_of_work.subjects_of(plain) | set(subjects) | set(again or ())
    if not names:
        return Derived()
    locked = None if is_alone else _lock(connection, names)
    books = unit_of_work.load_parties(connection, plain, locked)
    touched = Touched(objects=dict(again or {}))
    merge_parties(books, touched, facts)
    unit_of_work.load_money(connection, books, touched, plain, locked)
    merge_money(books, touched, facts)
    unit_of_work.load_owners(connection, books, locked)
    settled = derive_touched(books, touched, cache.get(connection))
    settled.postings += unit_of_work.lacking_adjustments(connection, plain)
    unit_of_work.save(connection, books, touched, settled)
    return settled


def _lock(connection: Connection, names: Collection[str]) -> set[str]:
    locked = set(names) | unit_of_work.resolve_subjects(connection, names)
    unit_of_work.lock(connection, locked)
    return locked


def derive_after(
    engine: Engine,
    changes: Sequence[CatalogueChange],
    cache: CatalogueCache,
    *,
    price_ids: Collection[str] = (),
    batch: int = 200,
) -> int:
    """Settle every payment that these changes of the catalogue may concern; returns how many.

    Those are payments that wait for a plan, that were bought by a price id which now has one, or
    that are younger than the new versions. `price_ids` are further ones whose worth has changed:
    they got into the prices without tokens, or out of them.
    """
    bound = [price_id for change in changes for price_id in change.bound_price_ids]
    concerned = {
        "price_ids": [*bound, *price_ids],
        "plan_ids": [change.after.id for change in changes if change.is_new_version],
    }
    last, looked_at = "", 0
    while True:
        with engine.connect() as connection:
            rows = connection.execute(_CONCERNED, concerned | {"after": last, "limit": batch}).all()
        if not rows:
            return looked_at
        _derive_again(engine, dict.fromkeys([row.id for row in rows]), cache)
        last, looked_at = rows[-1].id, looked_at + len(rows)


def _derive_again(engine: Engine, ids: Mapping[str, str | None], cache: CatalogueCache) -> None:
    def run(subjects: Collection[str]) -> Derived:
        with engine.begin() as connection:
            return apply_facts(connection, (), cache, subjects, again=ids)

    _with_locks(run)


_CONCERNED = text(
    """
    SELECT id FROM payments WHERE id > :after AND (
        lacks_plan
        OR created_at >= (SELECT min(effective_from) FROM plans
                          WHERE is_current AND id = ANY(CAST(:plan_ids AS integer[])))
        OR (cardinality(CAST(:price_ids AS text[])) > 0 AND EXISTS (
                SELECT FROM jsonb_array_elements(facts #> '{invoice,lines}') AS line
                WHERE line ->> 2 = ANY(CAST(:price_ids AS text[]))
                UNION ALL
                SELECT FROM jsonb_array_elements(facts #> '{session,lines}') AS line
                WHERE line ->> 0 = ANY(CAST(:price_ids AS text[]))
                UNION ALL
                SELECT FROM subscriptions, jsonb_each(sold -> 'items') AS item,
                            jsonb_array_elements(item.value -> 0) AS price
                WHERE subscriptions.id = payments.subscription_id
                  AND price ->> 0 = ANY(CAST(:price_ids AS text[])))))
    ORDER BY id LIMIT :limit
    """
)
