"""The audit: whether what the tables say follows from the events that were stored.

Everything is recomputed by the pipeline's own code into tables that only this transaction sees,
and compared there. It never commits, so it changes nothing, and it takes no lock that a worker
waits for; but PostgreSQL cannot clear away old row versions until it ends.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine

from db.operations import audit as tables
from db.operations.audit import Counts
from db.operations.differences import WHOLE_ROW, Difference, differences, events_behind
from workers.operations.recompute import Prepare, Progress, Recomputation
from workers.pipeline.prepared_event import prepare


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


def audit(
    engine: Engine,
    report: Report,
    progress: Progress,
    *,
    own_account: str | None = None,
    test_mode: bool = True,
) -> Verdict:
    """Recompute everything and report each difference as it is found.

    `progress` is told how many events of how many are recomputed. Events of another Stripe account
    than `own_account` count for nothing, whatever they did when they were applied; events that were
    ignored and would be applied today, in the mode that `test_mode` says, count. The database is
    left as it was. Raises what the database raises when it goes away.
    """
    started = time.monotonic()
    run = _Run(report, progress, partial(prepare, own_account=own_account), test_mode=test_mode)
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

    def __init__(
        self, report: Report, progress: Progress, read: Prepare, *, test_mode: bool
    ) -> None:
        self.differences = 0
        self._report = report
        self._progress = progress
        self._read = read
        self._test_mode = test_mode

    def recompute(self, connection: Connection, total: int) -> None:
        """Apply every stored event to the own tables."""
        again = Recomputation(self._cannot_use, read=self._read, test_mode=self._test_mode)
        again.run(connection, total, self._progress)

    def compare(self, connection: Connection) -> None:
        """Report every row that differs, with the events behind it."""
        for difference in differences(connection):
            events, total = events_behind(connection, difference)
            self._find(Finding(difference, events, total))

    def _cannot_use(self, event_id: str, error: str) -> None:
        self._find(_unusable(event_id, error))

    def _find(self, finding: Finding) -> None:
        self.differences += len(finding.difference.columns)
        self._report(finding)


def _unusable(event_id: str, error: str) -> Finding:
    reason = error.split("\n", 1)[0]
    columns = {WHOLE_ROW: ("applied", f"can no longer be applied: {reason}")}
    return Finding(Difference("webhook_events", event_id, columns), [event_id], 1)
