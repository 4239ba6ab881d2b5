"""Applies a batch of events in one transaction: the only way from an event to the tables.

Webhooks, retries and replays all come through here. Nothing in here talks to the network but
the database.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson
from sqlalchemy import Connection, Engine, text

import db.catalogue
from db import inbox, unit_of_work
from db.inbox import Outcome
from db.records import decompress
from db.unit_of_work import StaleLocks
from domain.books import Settled, Touched, merge_money, merge_parties, settle_touched
from domain.catalogue import Catalogue
from domain.decode import Decoded, decode, parse
from domain.decode.facts import Fact
from domain.errors import BillingError
from domain.events import Delivery, EventStatus
from workers.failure import described, retry_in_seconds

# Subjects found to be missing grow with every round; a set that still grows is a bug.
_LOCK_ROUNDS_MAX = 8


@dataclass(frozen=True, slots=True)
class Work:
    """An event ready to be applied: its facts, and what is to be recorded of it.

    `is_stored` says that the inbox has it already.
    """

    delivery: Delivery
    facts: tuple[Fact, ...]
    outcome: Outcome
    is_stored: bool = False


Choose = Callable[[Connection], Sequence[Work]]


@dataclass(slots=True)
class CatalogueCache:
    """The catalogue as last read by this process, read again when it has changed."""

    revision: int = -1
    catalogue: Catalogue = field(default_factory=Catalogue)

    def get(self, connection: Connection) -> Catalogue:
        """The catalogue of now. Call while holding the subjects' locks, which hold it too."""
        revision = db.catalogue.revision(connection)
        if revision != self.revision:
            self.catalogue = db.catalogue.load(connection)
            self.revision = revision
        return self.catalogue


def prepare(delivery: Delivery, *, attempts: int = 0, is_stored: bool = False) -> Work:
    """Decode a delivery. What cannot be decoded becomes a failed event, never an exception."""
    try:
        decoded = decode(parse(orjson.loads(decompress(delivery.body))))
    except Exception as error:  # noqa: BLE001 - a bug in one decoder must not stop the batch.
        unread = Work(delivery, (), Outcome(EventStatus.RECEIVED), is_stored)
        return failed(unread, error, attempts=attempts)
    return Work(delivery, decoded.facts, _outcome(decoded), is_stored)


def _outcome(decoded: Decoded) -> Outcome:
    return Outcome(
        EventStatus.APPLIED if decoded.is_handled else EventStatus.IGNORED,
        object_id=decoded.object_id,
        customer_id=decoded.customer_id,
        user_id=decoded.user_id,
        note=decoded.note,
    )


def failed(work: Work, error: Exception, *, attempts: int = 0) -> Work:
    """The event as one that failed once more after `attempts` tries: to be tried again, or dead."""
    delay = retry_in_seconds(attempts + 1)
    status = EventStatus.FAILED if delay is not None else EventStatus.DEAD
    outcome = replace(work.outcome, status=status, error=described(error), retry_in_seconds=delay)
    return replace(work, facts=(), outcome=outcome)


@dataclass(frozen=True, slots=True)
class Applied:
    """A committed batch: what was in it, and the ids that had an effect or were recorded."""

    works: Sequence[Work]
    new: Collection[str]


def apply(engine: Engine, choose: Choose, cache: CatalogueCache) -> Applied:
    """Choose events, apply them and record what became of them, in one transaction.

    An event the inbox has already, and `is_stored` does not say so, has no effect. Raises what
    the database raises: nothing is applied then.
    """
    subjects: frozenset[str] = frozenset()
    for _ in range(_LOCK_ROUNDS_MAX):
        try:
            with engine.begin() as connection:
                works = choose(connection)
                new = record(connection, works)
                facts = [
                    (work.delivery.event_id, fact)
                    for work in works
                    if work.delivery.event_id in new
                    for fact in work.facts
                ]
                apply_facts(connection, facts, cache, subjects)
                return Applied(works, new)
        except StaleLocks as stale:
            subjects |= stale.subjects
    raise BillingError(f"The subjects of a batch still grow after {_LOCK_ROUNDS_MAX} rounds.")


def record(connection: Connection, works: Iterable[Work]) -> set[str]:
    """Write what becomes of the events; returns the ids whose facts are to be applied."""
    known = {work.delivery.event_id: work for work in works}
    stored = {key: work.outcome for key, work in known.items() if work.is_stored}
    inbox.finish(connection, stored)
    new = [work.delivery for work in known.values() if not work.is_stored]
    outcomes = {delivery.event_id: known[delivery.event_id].outcome for delivery in new}
    return inbox.insert(connection, new, outcomes, source="webhook") | stored.keys()


def apply_facts(
    connection: Connection,
    facts: Sequence[tuple[str, Fact]],
    cache: CatalogueCache,
    subjects: Collection[str] = (),
    *,
    again: Mapping[str, str] | None = None,
    is_alone: bool = False,
) -> Settled:
    """Lock, load, join, settle, save: inside an open transaction.

    `subjects` are to be locked besides those the facts name. `again` names money objects to be
    settled although no fact touches them, each with the event that is the reason. `is_alone`
    says that nobody else can write these tables (an audit's own), so nothing is locked.
    """
    plain = [fact for _, fact in facts]
    names = unit_of_work.subjects_of(plain) | set(subjects) | set(again or ())
    if not names:
        return Settled()
    locked = None if is_alone else _lock(connection, names)
    books = unit_of_work.load_parties(connection, plain)
    touched = Touched(objects=dict(again or {}))
    merge_parties(books, touched, facts)
    unit_of_work.load_money(connection, books, touched, plain, locked)
    merge_money(books, touched, facts)
    unit_of_work.load_owners(connection, books)
    settled = settle_touched(books, touched, cache.get(connection))
    unit_of_work.save(connection, books, touched, settled)
    return settled


def _lock(connection: Connection, names: Collection[str]) -> set[str]:
    locked = set(names) | unit_of_work.resolve_subjects(connection, names)
    unit_of_work.lock(connection, locked)
    return locked


def settle_unvalued(engine: Engine, cache: CatalogueCache, *, batch: int = 200) -> int:
    """Settle again every payment that waits for a plan; returns how many were looked at.

    Called after the catalogue has changed: what could not be valued before may be now.
    """
    last, looked_at = "", 0
    while True:
        with engine.connect() as connection:
            rows = connection.execute(_UNVALUED, {"after": last, "limit": batch}).all()
        if not rows:
            return looked_at
        _settle_again(engine, {row.id: "" for row in rows}, cache)
        last, looked_at = rows[-1].id, looked_at + len(rows)


def _settle_again(engine: Engine, ids: Mapping[str, str], cache: CatalogueCache) -> None:
    subjects: frozenset[str] = frozenset()
    for _ in range(_LOCK_ROUNDS_MAX):
        try:
            with engine.begin() as connection:
                apply_facts(connection, (), cache, subjects, again=ids)
                return
        except StaleLocks as stale:
            subjects |= stale.subjects


_UNVALUED = text(
    "SELECT id FROM payments WHERE lacks_plan AND id > :after ORDER BY id LIMIT :limit"
)
