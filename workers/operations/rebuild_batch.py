"""One transaction of a rebuild: lock, check, put facts in place, and let the pipeline follow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from db.access import states
from db.ledger import locks, unit_of_work
from db.ledger.catalogue import CatalogueCache
from db.operations import rebuild as live
from db.operations import rebuild_plan as plan
from db.operations.fact_tables import CUSTOMERS, PAYMENTS, SUBSCRIPTIONS
from db.operations.rebuild_plan import ADJUSTED, Place, Unit, Wanted


@dataclass(slots=True)
class Batch:
    """Units mended in one transaction, with the rows as they must be."""

    units: Sequence[Unit]
    rows: Mapping[Place, Wanted]
    adjusted: Mapping[str, Mapping[str, int]]
    subjects: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, connection: Connection, units: Sequence[Unit]) -> "Batch":
        """Read from the snapshot what the units' rows must be."""
        places = [place for unit in units for place in unit.places]
        by_hand = [place.id for place in places if place.table == ADJUSTED]
        rows = {row.place: row for row in plan.wanted(connection, places)}
        subjects = frozenset(by_hand).union(
            *(unit.names for unit in units), *(row.subjects for row in rows.values())
        )
        return cls(units, rows, plan.adjusted(connection, by_hand), subjects)

    def write(
        self, connection: Connection, subjects: frozenset[str], catalogue: CatalogueCache
    ) -> int:
        """Lock, check, write, derive and post; returns how many entries were posted."""
        locked = locks.acquire(connection, subjects)
        same = live.is_as_it_was(connection, self.rows.values())
        units = [unit for unit in self.units if all(_is_same(place, same) for place in unit.places)]
        places = {place for unit in units for place in unit.places}
        rows = [row for place, row in self.rows.items() if place in places]
        unheard = [
            row.place.id for row in rows if row.place.table == PAYMENTS.name and row.again is None
        ]
        adjusted = {
            event_id: sums
            for event_id, sums in self.adjusted.items()
            if Place(ADJUSTED, event_id) in places
        }
        postings = live.reversals(connection, unheard) + live.corrections(connection, adjusted)
        reports = [row.place.id for row in rows if row.place.table == SUBSCRIPTIONS.name]
        payers = [row.place.id for row in rows if row.place.table == CUSTOMERS.name]
        holders = states.owners(connection, reports, payers)
        shown = live.Shown.of(connection, rows, unheard)
        live.replace(connection, rows)
        shown.tell(connection)
        states.look_soon(connection, holders | states.owners(connection, reports, payers))
        live.post(connection, postings)
        # Names that are no money objects have nothing derived from them.
        names = {name for unit in units for name in unit.names} - set(unheard)
        derived = unit_of_work.apply(
            connection, (), catalogue, locked, again=dict.fromkeys(sorted(names), "")
        )
        return len(postings) + len(derived.postings)


def _is_same(place: Place, same: set[Place]) -> bool:
    return place.table == ADJUSTED or place in same


def batches(units: Sequence[Unit], rows_max: int) -> Iterator[Sequence[Unit]]:
    """The units in their order, so many rows at a time; a unit of more rows comes alone."""
    batch: list[Unit] = []
    rows = 0
    for unit in units:
        if batch and rows + len(unit.places) > rows_max:
            yield batch
            batch, rows = [], 0
        batch.append(unit)
        rows += len(unit.places)
    if batch:
        yield batch
