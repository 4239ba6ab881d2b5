"""Applies the events that a drain has in hand: entries of the stream, and leased inbox events."""

from collections.abc import Sequence

import metrics
from db.queue import inbox
from db.queue.leases import Leased
from db.queue.stream import StreamMessage
from domain.events import Delivery
from workers.context import WorkerContext
from workers.pipeline.batch import apply_batch
from workers.pipeline.prepared_event import PreparedEvent, poison_message, prepare
from workers.pipeline.report import Drained


def apply_entries(context: WorkerContext, entries: Sequence[StreamMessage], done: Drained) -> None:
    """Apply stream entries and acknowledge them; events of paused types are parked instead."""
    if not entries:
        return
    done.entries = entries
    deliveries = {entry.delivery.event_id: entry.delivery for entry in entries}
    paused = [item for item in deliveries.values() if item.event_type in done.paused]
    _park(context, paused, done)
    works = [
        prepare(
            delivery,
            test_mode=context.test_mode,
            own_account=done.own_account,
            can_ask=context.can_ask,
        )
        for delivery in deliveries.values()
        if delivery.event_type not in done.paused
    ]
    if works:
        _apply(context, works, done)
    done.duplicates += len(entries) - len(deliveries)
    metrics.duplicates_met(len(entries) - len(deliveries))
    context.events.acknowledge(entry.entry_id for entry in entries)
    done.entries = ()


def record_poison(context: WorkerContext, entry: StreamMessage, count: int, done: Drained) -> None:
    """Record a stream entry that was handed out so often as failed, undecoded; acknowledge it."""
    note = f"handed out {count} times by the stream and never finished"
    _apply(context, [poison_message(entry.delivery, note=note)], done)
    context.events.acknowledge([entry.entry_id])


def apply_leased(context: WorkerContext, leased: Sequence[Leased], done: Drained) -> None:
    """Apply stored events that this process has a lease on."""
    done.leased = leased
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
