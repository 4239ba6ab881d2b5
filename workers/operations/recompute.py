"""Applies every stored event anew, by the pipeline's own code, to tables that nobody else sees.

An audit compares them with the live ones, a rebuild makes the live ones the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from db.ledger import unit_of_work
from db.ledger.catalogue import CatalogueCache
from db.operations import audit as tables
from db.queue.inbox import Outcome
from domain.decode.facts import Fact
from domain.events import Delivery, EventStatus
from workers.pipeline.apply import PreparedEvent, prepare
from workers.pipeline.failure import described, is_away

BATCH = 1_000
# The planner is told of the tables' growth when this many events are in, and at every tenfold.
FIRST_STATISTICS = 1_000

Progress = Callable[[int, int], None]
Prepare = Callable[..., PreparedEvent]


class Recomputation:
    """One recomputation under way, in a transaction that `open_shadow` prepared.

    `unusable` is told of each applied event that can no longer be applied, and why; `ignored` of
    each that today's code ignores, and why; `heard` of each that was ignored and that today's code
    applies, and what it is about. `read` is how today's code reads one, `test_mode` which mode is
    served: of events that were let in nobody asks the mode again, of ignored ones it matters.
    """

    def __init__(
        self,
        unusable: Callable[[str, str], None],
        ignored: Callable[[str, str], None] = lambda _event_id, _reason: None,
        read: Prepare = prepare,
        *,
        heard: Callable[[str, Outcome], None] = lambda _event_id, _outcome: None,
        test_mode: bool = True,
    ) -> None:
        self._unusable = unusable
        self._ignored = ignored
        self._heard = heard
        self._prepare = read
        self._test_mode = test_mode
        self._catalogue = CatalogueCache()

    def run(self, connection: Connection, total: int, progress: Progress) -> None:
        """Apply every stored event; `progress` is told how many of `total` are done."""
        done, statistics_at = 0, FIRST_STATISTICS
        progress(done, total)
        for rows in tables.applied_events(connection, BATCH):
            self._apply(connection, [work for row in rows if (work := self._read(row))])
            done += len(rows)
            if done >= statistics_at:
                tables.refresh_statistics(connection)
                statistics_at *= 10
            progress(done, total)
        tables.finish(connection)

    def _read(self, row: Row[Any]) -> PreparedEvent | None:
        delivery = Delivery(row.id, row.type, int(row.created), 0, bytes(row.body))
        if row.status == EventStatus.IGNORED:
            return self._read_ignored(delivery)
        work = self._prepare(delivery)
        if work.outcome.error is not None:
            self._unusable(row.id, work.outcome.error)
            return None
        # One that failed when it was replayed says what it is by itself.
        if work.outcome.status is EventStatus.IGNORED and row.status == EventStatus.APPLIED:
            self._ignored(row.id, work.outcome.note or f"{row.type} has no effect any more")
        return work

    def _read_ignored(self, delivery: Delivery) -> PreparedEvent | None:
        """An event that had no effect so far; one that still has none costs nobody anything."""
        work = self._prepare(delivery, test_mode=self._test_mode)
        if work.outcome.status is not EventStatus.APPLIED:
            return None
        self._heard(delivery.event_id, work.outcome)
        return work

    def _apply(self, connection: Connection, works: Sequence[PreparedEvent]) -> None:
        """Apply a batch; when it fails, each event alone, and report the culprits."""
        facts = [(work.delivery.event_id, fact) for work in works for fact in work.facts]
        try:
            with connection.begin_nested():
                unit_of_work.apply(connection, facts, self._catalogue, is_alone=True)
                tables.note_touches(connection, _touches(facts))
        except Exception as error:
            if is_away(error):
                raise
            if len(works) == 1:
                self._unusable(works[0].delivery.event_id, described(error))
                return
            for work in works:
                self._apply(connection, [work])


def _touches(facts: Sequence[tuple[str, Fact]]) -> set[tuple[str, str]]:
    return {(event_id, fact.id) for event_id, fact in facts}
