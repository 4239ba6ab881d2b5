"""Decodes what a shadow endpoint delivered beside what the inbox has, and keeps what differs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row

from db.bodies import decompress
from db.endpoints import changes, shadow_differences, shadow_reads
from db.endpoints.changes import Change
from db.endpoints.shadow_reads import Half, Seen
from db.ledger.catalogue import CatalogueCache
from domain.catalogue.plans import Catalogue
from domain.decode import DECODERS, decode, parse
from domain.decode.facts import Fact
from domain.endpoints.comparison import Difference, Versions, differences
from domain.endpoints.moves import SENT_SINCE, sends
from domain.errors import DecodeError
from domain.origin import stranger
from domain.payments.credit_notes import CreditNote
from domain.payments.objects import MoneyObject
from domain.payments.reversals import Dispute, Refund

# The other half of a pair may be late by so much.
LATE_SECONDS = 60.0
ACCEPTED = "accepted by a person"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Ours:
    """Whose events count: our account, where it is known, and the mode that is served."""

    account: str | None
    test_mode: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How an upgrade stands: what was seen, what differs, what one endpoint alone delivered."""

    seen: Seen
    differing: Sequence[Row[Any]]
    halves: Sequence[Half]
    halves_total: int
    quiet_seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether something was compared, nothing differs, and nothing is left to compare."""
        return self.seen.pairs > 0 and not (
            self.seen.unjudged or self.halves_total or any(not row.excuse for row in self.differing)
        )


class Comparison:
    """Compares on and on; everything it finds is in the tables, so another run goes on."""

    def __init__(
        self,
        engine: Engine,
        ours: Ours,
        *,
        accepted: Collection[str] = (),
        late_seconds: float = LATE_SECONDS,
    ) -> None:
        """`accepted` are patterns of facts whose differences a person has found right."""
        self._engine = engine
        self._ours = ours
        self._accepted = accepted
        self._late_seconds = late_seconds
        self._catalogue = CatalogueCache()

    def look(self, change: Change) -> Standing:
        """Compare what has come since the last look, and what differed then; say how it stands."""
        self._file(change)
        with self._engine.connect() as connection:
            subjects = shadow_reads.to_judge(connection, change)
        for subject in subjects:
            with self._engine.begin() as connection:
                self._judge(connection, change, subject)
        with self._engine.begin() as connection:
            return self._standing(connection, change)

    # What an event is about.

    def _file(self, change: Change) -> None:
        while True:
            with self._engine.begin() as connection:
                rows = shadow_reads.unfiled(connection, change, _BATCH)
                for row in rows:
                    self._file_one(connection, change, row)
            if len(rows) < _BATCH:
                return

    def _file_one(self, connection: Connection, change: Change, row: Row[Any]) -> None:
        told = self._told(row)
        subject = told.customer_id or told.object_id or row.id
        shadow_reads.file(connection, change, row.id, subject, told.object_id)

    def _judge(self, connection: Connection, change: Change, subject: str) -> None:
        sides = shadow_reads.sides(connection, change, subject)
        told = [self._told(row) for row in sides.after]
        customer = _customer_of(connection, change, subject, told)
        if customer:
            shadow_reads.refile(connection, change, subject, customer)
            self._judge(connection, change, customer)
            return
        found = differences(
            _facts(self._told(row) for row in sides.base),
            _facts(self._told(row) for row in sides.before),
            _facts(told),
            self._plans(connection),
            Versions(change.from_version, change.to_version),
        )
        found += [each.unreadable for each in told if each.unreadable]
        found = [self._excused(each) for each in found]
        is_open = any(not each.excuse for each in found)
        if is_open and sides.newest_seconds < self._late_seconds:
            return  # The event that says the rest may be on its way.
        if shadow_differences.judged(connection, change, subject, found):
            changes.disturbed(connection, change)

    def _excused(self, difference: Difference) -> Difference:
        name = f"{difference.object_id} {difference.path}"
        is_accepted = any(
            fnmatchcase(difference.path, pattern) or fnmatchcase(name, pattern)
            for pattern in self._accepted
        )
        return replace(difference, excuse=ACCEPTED) if is_accepted else difference

    def _plans(self, connection: Connection) -> Catalogue:
        return self._catalogue.get(connection)

    def _told(self, row: Row[Any]) -> "_Told":
        try:
            event = parse(orjson.loads(decompress(bytes(row.body))))
            if stranger(event, self._ours.account, test_mode=self._ours.test_mode):
                return _Told(row.id, (), None, None)
            decoded = decode(event)
        except DecodeError as error:
            return _Told(row.id, (), None, None, Difference(row.id, "event", None, str(error)))
        return _Told(row.id, decoded.facts, decoded.customer_id, decoded.object_id)

    def _standing(self, connection: Connection, change: Change) -> Standing:
        here, there = _one_sided(change.from_version), _one_sided(change.to_version)
        halves, total = shadow_reads.halves(
            connection,
            change,
            ours_only=there,
            theirs_only=here,
            types=DECODERS.keys(),
            late_seconds=self._late_seconds,
        )
        current = changes.under_way(connection) or change
        since = current.quiet_from or current.begun_at
        return Standing(
            seen=shadow_reads.seen(connection, change),
            differing=shadow_differences.listed(connection, change),
            halves=halves,
            halves_total=total,
            quiet_seconds=changes.seconds_since(connection, since),
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """What one event says; `unreadable` where it cannot be read."""

    event_id: str
    facts: Sequence[Fact]
    customer_id: str | None
    object_id: str | None
    unreadable: Difference | None = None


def _facts(told: Iterable[_Told]) -> list[tuple[str, Fact]]:
    return [(each.event_id, fact) for each in told for fact in each.facts]


def _customer_of(
    connection: Connection, change: Change, subject: str, told: Sequence[_Told]
) -> str | None:
    """The customer of events that name none, once another event tells whose object it is."""
    if any(each.customer_id for each in told):
        return None
    named = {name for each in told for fact in each.facts for name in _names(fact)}
    customer = shadow_reads.customer_of(connection, change, sorted(named - {subject} | {subject}))
    return customer if customer != subject else None


def _names(fact: Fact) -> set[str]:
    if isinstance(fact, MoneyObject):
        return {fact.id, *fact.parents}
    if isinstance(fact, Refund | Dispute | CreditNote):
        return {fact.id, fact.target_id}
    return {fact.id}


def _one_sided(version: str) -> list[str]:
    """The types that endpoints of a version are not sent."""
    return [name for name in SENT_SINCE if not sends(version, name)]
