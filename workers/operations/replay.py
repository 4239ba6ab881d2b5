"""Runs stored events again, for a person: through the pipeline's own code, in any status, safely.

An event that had its effect has no further one, because facts are joined, not added. A rehearsal
does the same and undoes it, batch by batch.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from db.ledger import locks
from db.ledger.catalogue import CatalogueCache
from db.operations import replay as stored
from db.operations.replay import Found, Selection
from db.questions import questions
from db.queue.attempts import Request
from domain.events import Delivery, EventStatus
from domain.subscriptions.versions import Subscription
from workers.pipeline.apply import Applied, apply, rehearse
from workers.pipeline.batch import apply_each
from workers.pipeline.failure import RETRY_DELAYS_SECONDS
from workers.pipeline.prepared_event import PreparedEvent, prepare

# Live events of the same customers wait for a batch, so it is smaller than a drain's.
BATCH = 200
# A rehearsal sees what events do together only within one batch.
REHEARSAL_BATCH = 500
# This many failures are told one by one; the inbox has them all.
FAILURES_TOLD_MAX = 20


@dataclass(frozen=True, slots=True)
class Change:
    """What a replay would change of one thing; None where there is nothing before or after.

    `kind` is `event`, `payment`, `subscription` or `balance`, which has the user's id.
    """

    kind: str
    id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(slots=True)
class Replayed:
    """What came of a replay: events by status, ledger entries posted, the first failures."""

    statuses: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many events failed again."""
        return self.statuses[EventStatus.FAILED] + self.statuses[EventStatus.DEAD]

    def count(self, applied: Applied) -> None:
        """Add one batch."""
        self.entries += len(applied.derived.postings)
        for work in applied.works:
            self.statuses[work.outcome.status.value] += 1
            if work.outcome.error and len(self.failures) < FAILURES_TOLD_MAX:
                self.failures.append((work.delivery.event_id, work.outcome.error))


Progress = Callable[[int, int], None]
Report = Callable[[Change], None]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay works with, as a worker has it; `own_account` is our Stripe account.

    `can_ask` says whether Stripe is asked for what is cut.
    """

    engine: Engine
    can_ask: bool = False
    test_mode: bool | None = None
    own_account: str | None = None
    retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS
    catalogue: CatalogueCache = field(default_factory=CatalogueCache)

    def run(
        self,
        selection: Selection,
        request: Request,
        progress: Progress,
        *,
        events_per_second: float | None = None,
    ) -> Replayed:
        """Run the selected events again, at most so many a second."""
        size = BATCH if events_per_second is None else min(BATCH, max(1, int(events_per_second)))
        pace = _Pace(events_per_second)
        return self._each(selection, request, progress, self._attempt, size=size, pace=pace)

    def rehearse(
        self, selection: Selection, request: Request, progress: Progress, report: Report
    ) -> Replayed:
        """Say what `run` would change, and change nothing."""
        look = partial(self._look, report)

        def attempt(works: Sequence[PreparedEvent]) -> Applied:
            return rehearse(self.engine, works, self.catalogue, look)

        size, pace = REHEARSAL_BATCH, _Pace(None)
        return self._each(selection, request, progress, attempt, size=size, pace=pace)

    def _attempt(self, works: Sequence[PreparedEvent]) -> Applied:
        delays = self.retry_delays_seconds
        applied = apply(self.engine, works, self.catalogue, retry_delays_seconds=delays)
        self._reconsider(applied.works)
        return applied

    def _each(
        self,
        selection: Selection,
        request: Request,
        progress: Progress,
        attempt: Callable[[Sequence[PreparedEvent]], Applied],
        *,
        size: int,
        pace: "_Pace",
    ) -> Replayed:
        with self.engine.connect() as connection:
            total = stored.count(connection, selection)
        replayed, done = Replayed(), 0
        progress(done, total)
        for page in self._pages(selection, size):
            for applied in apply_each(self._prepared(page, request), attempt):
                replayed.count(applied)
            done += len(page)
            progress(done, max(done, total))
            pace.hold(done)
        return replayed

    def _pages(self, selection: Selection, size: int) -> Iterator[Sequence[Found]]:
        place = None
        while True:
            with self.engine.connect() as connection:
                page = stored.page(connection, selection, place, size)
            if not page:
                return
            yield page
            place = page[-1].place

    def _prepared(self, page: Sequence[Found], request: Request) -> Sequence[PreparedEvent]:
        return [
            prepare(
                _delivery(stored),
                is_stored=True,
                test_mode=self.test_mode,
                can_ask=self.can_ask,
                own_account=self.own_account,
            )._replace(request=request)
            for stored in page
        ]

    def _reconsider(self, works: Sequence[PreparedEvent]) -> None:
        """Let Stripe be asked anew about what these are of, also where that was given up."""
        subjects = {work.outcome.object_id for work in works if work.outcome.object_id}
        subjects |= locks.subjects_of(fact for work in works for fact in work.facts)
        with self.engine.begin() as connection:
            questions.reconsider(connection, subjects)

    def _look(self, report: Report, connection: Connection, applied: Applied) -> None:
        for work in applied.works:
            if work.was and work.was is not work.outcome.status and not work.keeps_status:
                statuses = ({"status": work.was.value}, {"status": work.outcome.status.value})
                report(Change("event", work.delivery.event_id, *statuses))
        wanted = {
            "payment_ids": applied.derived.roots.keys() | applied.derived.payments.keys(),
            "subscription_ids": {
                fact.id
                for work in applied.works
                for fact in work.facts
                if isinstance(fact, Subscription)
            },
            "user_ids": {posting.entry.user_id for posting in applied.derived.postings},
        }
        after = stored.state(connection, **wanted)
        # Another connection still sees what was there before.
        with self.engine.connect() as other:
            before = stored.state(other, **wanted)
        for kind, object_id in sorted(before.keys() | after.keys()):
            change = Change(
                kind, object_id, before.get((kind, object_id)), after.get((kind, object_id))
            )
            if change.before != change.after:
                report(change)


def _delivery(stored: Found) -> Delivery:
    return Delivery(stored.id, stored.type, stored.created, stored.received_ms, stored.body)


class _Pace:
    """Holds back whoever does more than so many events a second."""

    def __init__(self, events_per_second: float | None) -> None:
        self._events_per_second = events_per_second
        self._started = time.monotonic()

    def hold(self, done: int) -> None:
        if self._events_per_second:
            due = self._started + done / self._events_per_second
            time.sleep(max(0.0, due - time.monotonic()))
