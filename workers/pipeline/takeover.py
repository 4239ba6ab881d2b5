"""Takes over stream entries that another drain left, and quarantines what may have ended it."""

from collections.abc import Callable, Sequence
from functools import partial

import metrics
import telemetry
from db.queue.stream import StreamMessage
from workers.context import WorkerContext
from workers.pipeline.in_hand import acknowledge, apply_entries, known, record_poison
from workers.pipeline.report import Drained

# An entry handed out more often may have ended its worker. It goes into quarantine: the worker
# applies it alone.
QUARANTINE_DELIVERIES = 2
# An entry handed out this often is a poison message: the worker records it as failed, undecoded.
POISON_DELIVERIES = 10

log = telemetry.get_logger("drain")


def take_over_left(context: WorkerContext, done: Drained) -> None:
    """Apply what other drains left: at once where a consumer has ended, else after its lease.

    What this process itself holds as a drain begins is left from one that was broken off.
    """
    for holder in context.events.holders():
        if holder == context.consumer or context.is_gone(holder):
            log.info("the worker takes over what a drain left", consumer=holder)
            _take_over(context, partial(context.events.take_over, holder), done)
    _take_over(context, context.events.take_over_stale, done)


def take_over_own(context: WorkerContext, done: Drained) -> None:
    """Apply what Redis has handed out to this process."""
    if context.consumer in context.events.holders():
        _take_over(context, partial(context.events.take_over, context.consumer), done)


def _take_over(
    context: WorkerContext, take: Callable[[str, int], list[StreamMessage]], done: Drained
) -> None:
    while taken := take(context.consumer, context.size.events):
        entries = _without_known(context, taken, done)
        times = context.events.times_delivered(entries)
        safe = [entry for entry in entries if times.get(entry.entry_id, 0) <= QUARANTINE_DELIVERIES]
        apply_entries(context, safe, done)
        acknowledge(context, done)
        for entry in entries:
            count = times.get(entry.entry_id, 0)
            if count >= POISON_DELIVERIES:
                record_poison(context, entry, count, done)
            elif count > QUARANTINE_DELIVERIES:
                apply_entries(context, [entry], done)
                acknowledge(context, done)


def _without_known(
    context: WorkerContext, entries: Sequence[StreamMessage], done: Drained
) -> list[StreamMessage]:
    """Drop what the inbox has, whatever became of it: a poison message is not decoded again."""
    stored = known(context, [entry.delivery.event_id for entry in entries])
    duplicates = [entry.entry_id for entry in entries if entry.delivery.event_id in stored]
    done.duplicates += len(duplicates)
    metrics.duplicates_met(len(duplicates))
    context.events.acknowledge(duplicates)
    return [entry for entry in entries if entry.delivery.event_id not in stored]
