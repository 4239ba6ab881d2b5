"""The audit: whether what the tables say follows from the events that were stored.

Everything is recomputed by the pipeline's own code into tables that only this transaction sees,
and compared there. It never commits, so it changes nothing, and it takes no lock that a worker
waits for; but PostgreSQL cannot clear away old row versions until it ends.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row

from db import audit as tables
from db.audit import Counts
from db.differences import WHOLE_ROW, Difference, differences, events_behind
from domain.decode.facts import Fact
from domain.events import Delivery
from workers.apply import CatalogueCache, Work, apply_facts, prepare
from workers.failure import described, is_away

BATCH = 1_000
# The planner is told of the tables' growth when this many events are in, and at every tenfold.
_FIRST_STATISTICS = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference with the newest events behind it; `events_total` counts all of them."""

    difference: Difference
    events: Sequence[str]
    events_total: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit came to; `differences` counts differing columns and rows."""

    counts: Counts
    differences: int
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether the tables are what the events make them."""
        return self.differences == 0


Report = Callable[[Finding], None]
Progress = Callable[[int, int], None]


def audit(
    engine: Engine, report: Report, progress: Progress, *, own_account: str | None = None
) -> Verdict:
    """Recompute everything and report each difference as it is found.

    `progress` is told how many events of how many are recomputed. Events of another Stripe account
    than `own_account` count for nothing, whatever they did when they were applied. The database is
    left as it was. Raises what the database raises when it goes away.
    """
    started = time.monotonic()
    run = _Run(report, progress, own_account)
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ")
        try:
            tables.open_shadow(connection)
            counts = tables.counts(connection)
            run.recompute(connection, counts.applied)
            run.compare(connection)
        finally:
            connection.rollback()
    return Verdict(counts, run.differences, time.monotonic() - started)


class _Run:
    """One audit under way."""

    def __init__(self, report: Report, progress: Progress, own_account: str | None) -> None:
        self.differences = 0
        self._report = report
        self._progress = progress
        self._own_account = own_account
        self._catalogue = CatalogueCache()

    def recompute(self, connection: Connection, total: int) -> None:
        """Apply every stored event to the own tables."""
        done, statistics_at = 0, _FIRST_STATISTICS
        self._progress(done, total)
        for rows in tables.applied_events(connection, BATCH):
            self._apply(connection, [work for row in rows if (work := self._read(row))])
            done += len(rows)
            if done >= statistics_at:
                tables.refresh_statistics(connection)
                statistics_at *= 10
            self._progress(done, total)
        tables.finish(connection)

    def compare(self, connection: Connection) -> None:
        """Report every row that differs, with the events behind it."""
        for difference in differences(connection):
            events, total = events_behind(connection, difference)
            self._find(Finding(difference, events, total))

    def _read(self, row: Row[Any]) -> Work | None:
        delivery = Delivery(row.id, row.type, int(row.created), 0, bytes(row.body))
        work = prepare(delivery, own_account=self._own_account)
        if work.outcome.error is not None:
            self._find(_unusable(row.id, work.outcome.error))
            return None
        return work

    def _apply(self, connection: Connection, works: Sequence[Work]) -> None:
        """Apply a batch; when it fails, each event alone, and report the culprits."""
        facts = [(work.delivery.event_id, fact) for work in works for fact in work.facts]
        try:
            with connection.begin_nested():
                apply_facts(connection, facts, self._catalogue, is_alone=True)
                tables.note_touches(connection, _touches(facts))
        except Exception as error:
            if is_away(error):
                raise
            if len(works) == 1:
                self._find(_unusable(works[0].delivery.event_id, described(error)))
                return
            for work in works:
                self._apply(connection, [work])

    def _find(self, finding: Finding) -> None:
        self.differences += len(finding.difference.columns)
        self._report(finding)


def _touches(facts: Sequence[tuple[str, Fact]]) -> set[tuple[str, str]]:
    return {(event_id, fact.id) for event_id, fact in facts}


def _unusable(event_id: str, error: str) -> Finding:
    reason = error.split("\n", 1)[0]
    told = {WHOLE_ROW: ("applied", f"can no longer be applied: {reason}")}
    return Finding(Difference("webhook_events", event_id, told), [event_id], 1)
