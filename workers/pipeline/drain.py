"""Empties the stream and the inbox in batches: what a wake-up asks for.

Stream entries are acknowledged only after their batch is committed, so a worker that dies at any
point leaves them to be claimed by the next drain. Stored events are due again when the lease of a
try that never ended has run out.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import redis
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import exc

import metrics
import telemetry
from db.queue import inbox, leases, pauses
from db.queue.leases import Leased
from db.queue.stream import StreamMessage
from domain.events import Delivery, EventStatus
from workers.context import WorkerContext
from workers.pipeline.apply import Applied
from workers.pipeline.batch import apply_batch
from workers.pipeline.failure import is_away
from workers.pipeline.prepared_event import PreparedEvent, poison_message, prepare
from workers.pipeline.report import committed

# Well under the task's soft time limit; what is left is left to a further drain.
SECONDS_MAX = 6.0
# Events in quarantine are applied one by one; after this long the stream comes first again.
QUARANTINE_SECONDS_MAX = 1.0
# A message handed out more often may have ended its worker. It goes into quarantine: the worker
# applies it alone.
QUARANTINE_DELIVERIES = 2
# A message handed out this often is a poison message: the worker records it as failed, undecoded.
POISON_DELIVERIES = 10

log = telemetry.get_logger("drain")


@dataclass(slots=True)
class Drained:
    """What one drain did, for its log line.

    `paused` are the event types it only kept, `own_account` our Stripe account; `entries` of the
    stream and `in_hand` of the inbox are what it has not finished.
    """

    paused: frozenset[str] = frozenset()
    own_account: str | None = None
    entries: Sequence[StreamMessage] = ()
    in_hand: Sequence[Leased] = ()
    applied: int = 0
    ignored: int = 0
    failed: int = 0
    held: int = 0
    duplicates: int = 0
    batches: int = 0
    is_unfinished: bool = False

    def count(self, applied: Applied) -> None:
        """Add one committed batch."""
        committed(applied)
        self.batches += bool(applied.works)
        self.duplicates += len(applied.works) - len(applied.new)
        for work in applied.works:
            if work.delivery.event_id in applied.new:
                self._count_one(work.outcome.status)

    def _count_one(self, status: EventStatus) -> None:
        if status is EventStatus.APPLIED:
            self.applied += 1
        elif status is EventStatus.IGNORED:
            self.ignored += 1
        else:
            self.failed += 1


def drain(context: WorkerContext, send_wake_up: Callable[[], object]) -> Drained:
    """Apply everything that waits, until nothing does or the time is up.

    `send_wake_up` asks for a further drain; it is called when a batch comes back full, so that
    load spreads over the pool by itself, and when time ran out first.
    """
    started = time.monotonic()
    done = Drained()
    try:
        _drain_all(context, send_wake_up, done, started + SECONDS_MAX)
    except exc.SQLAlchemyError as error:
        if not is_away(error):
            raise
        log.warning("database away, events wait", error=type(error).__name__)
        context.left.extend(done.in_hand)
        _give_back(context)
    except SoftTimeLimitExceeded:
        _end_early(context, done)
        send_wake_up()
    finally:
        _log_drained(done, started)
    return done


def _drain_all(
    context: WorkerContext, send_wake_up: Callable[[], object], done: Drained, deadline: float
) -> None:
    # While the database is away nothing is taken from the stream, where it is safe.
    with context.engine.begin() as connection:
        done.paused = pauses.paused(connection)
        done.own_account = context.own.read(connection)
    _give_back_stored(context)
    try:
        _drain_stream(context, send_wake_up, done, deadline)
    except redis.RedisError as error:
        log.warning("stream unavailable", error=type(error).__name__)
        done.entries = ()
    _drain_inbox(context, done, deadline)
    if done.is_unfinished:
        send_wake_up()


def _end_early(context: WorkerContext, done: Drained) -> None:
    """Leave what was not finished in time to a smaller try: time runs out of machines as well.

    Only one that was tried alone is kept: it counts as handed out, and is met alone.
    """
    tried = len(done.entries) or len(done.in_hand)
    log.warning("out of time, events wait", events=tried)
    context.size.cut(tried)
    is_alone = tried == 1
    context.left.extend(() if is_alone else done.in_hand)
    _give_back(context, but=[entry.entry_id for entry in done.entries if is_alone], is_pause=False)
    try:
        _give_back_stored(context)
    except exc.SQLAlchemyError as error:
        log.warning("events not given back", error=type(error).__name__)


def _give_back_stored(context: WorkerContext) -> None:
    """Let others have what this process took from the inbox and could not try."""
    if context.left:
        with context.engine.begin() as connection:
            leases.give_back(connection, context.left)
        context.left.clear()


def _give_back(
    context: WorkerContext, but: Collection[bytes] = (), *, is_pause: bool = True
) -> None:
    """Leave what is in hand to whoever comes first; after a pause, where nobody could work."""
    try:
        if is_pause:
            context.events.postpone_wake_up()
        context.events.give_back(context.consumer, but=but)
    except redis.RedisError as error:
        # Then this process takes them up again, or the lease frees them.
        log.warning("entries not given back", error=type(error).__name__)


def _log_drained(done: Drained, started: float) -> None:
    if done.batches or done.held:
        log.debug(
            "drained",
            applied=done.applied,
            ignored=done.ignored,
            failed=done.failed,
            held=done.held,
            duplicates=done.duplicates,
            batches=done.batches,
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )


def _drain_stream(
    context: WorkerContext, send_wake_up: Callable[[], object], done: Drained, deadline: float
) -> None:
    context.events.clear_wake_up()
    context.events.create_group()
    _take_over_left(context, done)
    has_woken = False
    while entries := context.events.read(context.consumer, size := context.size.events):
        if len(entries) == size and not has_woken and context.events.request_wake_up():
            send_wake_up()
            has_woken = True
        _apply_entries(context, entries, done)
        context.size.grow()
        if time.monotonic() > deadline:
            done.is_unfinished = True
            return


def _take_over_left(context: WorkerContext, done: Drained) -> None:
    """Take over what dead consumers held: at once of those that are known to be, else in time.

    What this process itself holds as it begins is left from a drain that was broken off.
    """
    for holder in context.events.holders():
        if holder == context.consumer or context.is_gone(holder):
            log.info("taking over what a drain left", consumer=holder)
            _take_over(context, partial(context.events.take_over, holder), done)
    _take_over(context, context.events.take_over_stale, done)


def _take_over(
    context: WorkerContext, claim: Callable[[str, int], list[StreamMessage]], done: Drained
) -> None:
    """Apply what can be claimed; what may have ended its consumer is applied alone."""
    while claimed := claim(context.consumer, context.size.events):
        entries = _without_known(context, claimed, done)
        times = context.events.times_delivered(entries)
        safe = [entry for entry in entries if times.get(entry.entry_id, 0) <= QUARANTINE_DELIVERIES]
        _apply_entries(context, safe, done)
        for entry in entries:
            count = times.get(entry.entry_id, 0)
            if count >= POISON_DELIVERIES:
                _record_poison(context, entry, count, done)
            elif count > QUARANTINE_DELIVERIES:
                _apply_entries(context, [entry], done)


def _without_known(
    context: WorkerContext, entries: Sequence[StreamMessage], done: Drained
) -> list[StreamMessage]:
    """Drop what the inbox has, done or kept: a poison message sent again is not decoded."""
    with context.engine.begin() as connection:
        known = inbox.known(connection, [entry.delivery.event_id for entry in entries])
    twice = [entry.entry_id for entry in entries if entry.delivery.event_id in known]
    done.duplicates += len(twice)
    metrics.duplicates_met(len(twice))
    context.events.acknowledge(twice)
    return [entry for entry in entries if entry.delivery.event_id not in known]


def _record_poison(context: WorkerContext, entry: StreamMessage, count: int, done: Drained) -> None:
    note = f"handed out {count} times by the stream and never finished"
    _apply_works(context, [poison_message(entry.delivery, note=note)], done)
    context.events.acknowledge([entry.entry_id])


def _apply_entries(context: WorkerContext, entries: Sequence[StreamMessage], done: Drained) -> None:
    if not entries:
        return
    done.entries = entries
    deliveries = {entry.delivery.event_id: entry.delivery for entry in entries}
    held = [each for each in deliveries.values() if each.event_type in done.paused]
    _hold(context, held, done)
    works = [
        prepare(
            each,
            test_mode=context.test_mode,
            own_account=done.own_account,
            can_ask=context.can_ask,
        )
        for each in deliveries.values()
        if each.event_type not in done.paused
    ]
    if works:
        _apply_works(context, works, done)
    done.duplicates += len(entries) - len(deliveries)
    metrics.duplicates_met(len(entries) - len(deliveries))
    context.events.acknowledge(entry.entry_id for entry in entries)
    done.entries = ()


def _hold(context: WorkerContext, deliveries: Sequence[Delivery], done: Drained) -> None:
    """Keep events of paused types in the inbox, where they wait until the type is resumed."""
    if deliveries:
        with context.engine.begin() as connection:
            new = inbox.store(connection, deliveries, source="webhook")
        done.held += new
        done.duplicates += len(deliveries) - new


def _apply_works(context: WorkerContext, works: Sequence[PreparedEvent], done: Drained) -> None:
    """Apply a batch, split where it must be."""
    delays = context.retry_delays_seconds
    for applied in apply_batch(
        context.engine, works, context.catalogue, retry_delays_seconds=delays
    ):
        done.count(applied)


def _drain_inbox(context: WorkerContext, done: Drained, deadline: float) -> None:
    """Apply stored events that are due: those kept while Redis was away, and retries."""
    started = time.monotonic()
    while taken := _take(context):
        done.in_hand = taken
        works = [_prepared(each, context, done.own_account) for each in taken]
        _apply_works(context, works, done)
        done.in_hand = ()
        context.size.grow()
        ends = (
            min(deadline, started + QUARANTINE_SECONDS_MAX) if taken[0].is_quarantined else deadline
        )
        if time.monotonic() > ends:
            done.is_unfinished = True
            return


def _take(context: WorkerContext) -> Sequence[Leased]:
    """Commit that these are being tried, so that it is known whatever becomes of this process."""
    with context.engine.begin() as connection:
        return leases.take(connection, context.size.events, context.retry_delays_seconds)


def _prepared(taken: Leased, context: WorkerContext, own_account: str | None) -> PreparedEvent:
    if taken.is_poison:
        return poison_message(taken.delivery, attempts=taken.attempts, is_stored=True)
    return prepare(
        taken.delivery,
        attempts=taken.attempts,
        is_stored=True,
        test_mode=context.test_mode,
        can_ask=context.can_ask,
        own_account=own_account,
    )
