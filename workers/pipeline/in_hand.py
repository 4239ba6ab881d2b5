"""Applies the events that a drain has in hand: entries of the stream, and leased inbox events."""

from collections.abc import Collection, Sequence

import metrics
import telemetry
from db.queue import inbox
from db.queue.leases import Leased
from db.queue.stream import StreamMessage
from domain.events import Delivery
from workers.context import WorkerContext
from workers.pipeline.batch import apply_batch
from workers.pipeline.collecting import without_collector
from workers.pipeline.prepared_event import PreparedEvent, poison_message, prepare
from workers.pipeline.report import EVENT_IDS_LOGGED_MAX, Drained

# From this share of duplicates on it is cheaper to ask for all than to decode what is there: to
# ask costs a twentieth of what a new event does, and saves four fifths of a duplicate.
_MANY = 1 / 8

log = telemetry.get_logger("drain")


def apply_entries(context: WorkerContext, entries: Sequence[StreamMessage], done: Drained) -> None:
    """Apply stream entries, which are `finished` then; events of paused types are parked instead.

    What the inbox has already is dropped by the statement that would store it. Where the batch
    before met many such events, the inbox is asked first, and they are dropped undecoded.
    """
    if entries:
        with without_collector():
            _apply_entries(context, entries, done)


def _apply_entries(context: WorkerContext, entries: Sequence[StreamMessage], done: Drained) -> None:
    done.entries = entries
    deliveries = {entry.delivery.event_id: entry.delivery for entry in entries}
    duplicates_before = done.duplicates
    if done.meets_known:
        _drop(known(context, deliveries), deliveries)
    paused = [item for item in deliveries.values() if item.event_type in done.paused]
    _park(context, paused, done)
    can_ask = context.can_ask
    works = [
        prepare(
            delivery,
            test_mode=context.test_mode,
            own_account=done.own_account,
            can_ask=can_ask,
        )
        for delivery in deliveries.values()
        if delivery.event_type not in done.paused
    ]
    if works:
        _apply(context, works, done)
    # Neither those that were known nor a second entry of one event.
    done.duplicates += len(entries) - len(deliveries)
    metrics.duplicates_met(len(entries) - len(deliveries))
    done.finished = [*done.finished, *(entry.entry_id for entry in entries)]
    done.entries = ()
    done.meets_known = done.duplicates - duplicates_before > len(entries) * _MANY


def acknowledge(context: WorkerContext, done: Drained) -> None:
    """Acknowledge the entries that are finished."""
    context.events.acknowledge(done.finished)
    done.finished = ()


def known(context: WorkerContext, ids: Collection[str]) -> set[str]:
    """Those of the events that the inbox has, whatever became of them."""
    with context.engine.begin() as connection:
        return inbox.known(connection, ids)


def _drop(ids: Collection[str], deliveries: dict[str, Delivery]) -> None:
    for event_id in ids:
        del deliveries[event_id]
    if ids:
        logged = sorted(ids)[:EVENT_IDS_LOGGED_MAX]
        log.info("known events dropped", events=len(ids), event_ids=logged)


def record_poison(context: WorkerContext, entry: StreamMessage, count: int, done: Drained) -> None:
    """Record a stream entry that was handed out so often as failed, undecoded; acknowledge it."""
    note = f"handed out {count} times by the stream and never finished"
    _apply(context, [poison_message(entry.delivery, note=note)], done)
    context.events.acknowledge([entry.entry_id])


def apply_leased(context: WorkerContext, leased: Sequence[Leased], done: Drained) -> None:
    """Apply stored events that this process has a lease on."""
    done.leased = leased
    with without_collector():
        _apply(context, [_prepared(item, context, done.own_account) for item in leased], done)
    done.leased = ()


def _prepared(leased: Leased, context: WorkerContext, own_account: str | None) -> PreparedEvent:
    if leased.is_poison:
        return poison_message(leased.delivery, attempts=leased.attempts, is_stored=True)
    return prepare(
        leased.delivery,
        attempts=leased.attempts,
        is_stored=True,
        test_mode=context.test_mode,
        can_ask=context.can_ask,
        own_account=own_account,
    )


def _park(context: WorkerContext, deliveries: Sequence[Delivery], done: Drained) -> None:
    """Store events of paused types in the inbox, where they wait until the type is resumed."""
    if deliveries:
        with context.engine.begin() as connection:
            new = inbox.store(connection, deliveries, source="webhook")
        done.parked += new
        done.duplicates += len(deliveries) - new


def _apply(context: WorkerContext, works: Sequence[PreparedEvent], done: Drained) -> None:
    delays = context.retry_delays_seconds
    for applied in apply_batch(
        context.engine, works, context.catalogue, retry_delays_seconds=delays
    ):
        context.hint(applied.derived.told)
        done.count(applied)
