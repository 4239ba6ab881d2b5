"""What is reported of a committed batch and of a drain: log lines, and counts for Prometheus."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import metrics
import telemetry
from db.queue.leases import Leased
from db.queue.stream import StreamMessage
from domain.events import EventStatus
from workers.pipeline.apply import Applied, PreparedEvent

# A full batch would be a line of many kilobytes; the inbox knows every event's outcome and time.
EVENT_IDS_LOGGED_MAX = 50

log = telemetry.get_logger("batch")
drain_log = telemetry.get_logger("drain")


def committed(applied: Applied) -> Sequence[PreparedEvent]:
    """Log and count a batch whose transaction is committed; nothing when it was empty.

    Returns its events without those that turned out to be known.
    """
    if not applied.works:
        return ()
    works = [work for work in applied.works if work.delivery.event_id in applied.new]
    finished = Counter((work.delivery.event_type, work.outcome.status) for work in works)
    duplicates = len(applied.works) - len(works)
    now_ms = time.time() * 1000
    metrics.batch_committed(
        # An event that is only stored has not come to an end.
        {key: count for key, count in finished.items() if key[1] != EventStatus.RECEIVED},
        events=len(works),
        duplicates=duplicates,
        retries=sum(not work.waits for work in works if work.attempts),
        delays_seconds=[
            max(0.0, now_ms - work.delivery.received_ms) / 1000
            for work in works
            if work.outcome.status is EventStatus.APPLIED
        ],
    )
    ignored = [work for work in works if work.outcome.status is EventStatus.IGNORED]
    for reason, count in Counter(work.stranger or "type" for work in ignored).items():
        metrics.events_ignored(reason, count)
    waiting = [work for work in works if work.outcome.status is EventStatus.RECEIVED]
    if count := sum(work.is_left for work in waiting):
        metrics.events_left(count)
        log.warning("events left for a worker of a newer release", events=count)
    _log(applied, finished, duplicates)
    return works


def _log(applied: Applied, finished: Counter[tuple[str, EventStatus]], duplicates: int) -> None:
    by_status: Counter[str] = Counter()
    for (_, status), count in finished.items():
        by_status[status.value] += count
    logged = [work.delivery for work in applied.works[:EVENT_IDS_LOGGED_MAX]]
    log.info(
        "batch committed",
        events=len(applied.works),
        duplicates=duplicates,
        **by_status,
        event_ids=[delivery.event_id for delivery in logged],
        # Of what came through the stream; the receiver's log has them for all.
        request_ids=[delivery.request_id for delivery in logged if delivery.request_id],
    )


@dataclass(slots=True)
class Drained:
    """What one drain does, and has done so far.

    `paused` are the event types that it parks, `own_account` is our Stripe account. `entries` of
    the stream and `leased` events of the inbox are in hand: not finished yet. `finished` entries
    are to be acknowledged, which the next packet to Redis does. `left` counts events
    that only a newer release can read, `noticed` thin ones that wait for Stripe. `meets_known`: the
    batch before held many events that the inbox had. `is_due`: something in the inbox waited to be
    tried when it was looked at, which was when the clock said `looked`. `holds_wake_up`: nobody
    asks for another drain, as this one reads what comes.
    """

    paused: frozenset[str] = frozenset()
    own_account: str | None = None
    entries: Sequence[StreamMessage] = ()
    leased: Sequence[Leased] = ()
    finished: Sequence[bytes] = ()
    applied: int = 0
    ignored: int = 0
    failed: int = 0
    parked: int = 0
    left: int = 0
    noticed: int = 0
    duplicates: int = 0
    batches: int = 0
    is_unfinished: bool = False
    meets_known: bool = False
    is_due: bool = False
    looked: float = 0.0
    holds_wake_up: bool = False
    started: float = field(default_factory=time.monotonic)

    def count(self, applied: Applied) -> None:
        """Add one committed batch."""
        works = committed(applied)
        self.batches += bool(applied.works)
        self.duplicates += len(applied.works) - len(applied.new)
        by_status = Counter(work.outcome.status for work in works)
        left = sum(work.is_left for work in works) if by_status[EventStatus.RECEIVED] else 0
        self.left += left
        self.noticed += by_status[EventStatus.RECEIVED] - left
        self.applied += by_status[EventStatus.APPLIED]
        self.ignored += by_status[EventStatus.IGNORED]
        self.failed += by_status[EventStatus.FAILED] + by_status[EventStatus.DEAD]

    def log(self) -> None:
        """Log what it did; nothing when there was nothing to do."""
        if self.batches or self.parked:
            drain_log.debug(
                "drained",
                applied=self.applied,
                ignored=self.ignored,
                failed=self.failed,
                parked=self.parked,
                left=self.left,
                noticed=self.noticed,
                duplicates=self.duplicates,
                batches=self.batches,
                duration_ms=round((time.monotonic() - self.started) * 1000, 1),
            )
