"""What is said of each committed batch: one line in the log, and the counts for Prometheus."""

import time
from collections import Counter

import metrics
import telemetry
from domain.events import EventStatus
from workers.pipeline.apply import Applied

# A full batch would be a line of many kilobytes; the inbox knows every event's outcome and time.
EVENT_IDS_LOGGED_MAX = 50

log = telemetry.get_logger("batch")


def committed(applied: Applied) -> None:
    """Log and count a batch whose transaction is committed; nothing when it was empty."""
    if not applied.works:
        return
    works = [work for work in applied.works if work.delivery.event_id in applied.new]
    finished = Counter((work.delivery.event_type, work.outcome.status.value) for work in works)
    duplicates = len(applied.works) - len(works)
    now_ms = time.time() * 1000
    metrics.batch_committed(
        # What is only held (its type is paused) has not come to an end.
        {key: count for key, count in finished.items() if key[1] != EventStatus.RECEIVED},
        events=len(works),
        duplicates=duplicates,
        retries=sum(work.attempts > 0 for work in works),
        delays_seconds=[
            max(0.0, now_ms - work.delivery.received_ms) / 1000
            for work in works
            if work.outcome.status is EventStatus.APPLIED
        ],
    )
    ignored = [work for work in works if work.outcome.status is EventStatus.IGNORED]
    for reason, count in Counter(work.stranger or "type" for work in ignored).items():
        metrics.events_ignored(reason, count)
    _log(applied, finished, duplicates)


def _log(applied: Applied, finished: Counter[tuple[str, str]], duplicates: int) -> None:
    by_status: Counter[str] = Counter()
    for (_, status), count in finished.items():
        by_status[status] += count
    told = [work.delivery for work in applied.works[:EVENT_IDS_LOGGED_MAX]]
    log.info(
        "batch committed",
        events=len(applied.works),
        duplicates=duplicates,
        **by_status,
        event_ids=[delivery.event_id for delivery in told],
        # Of what came through the stream; the receiver's log has them for all.
        request_ids=[delivery.request_id for delivery in told if delivery.request_id],
    )
