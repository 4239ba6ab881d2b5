"""Empties the stream and the inbox in batches: what a wake-up asks for.

A drain that found events waits a moment for more, so that a handful of events needs no task of its
own. A worker acknowledges stream entries only after their batch is committed. So a worker that dies
at any point leaves them to be taken over by the next drain. A stored event is due again when the
lease of an attempt that never ended has run out.
"""

import time
from collections.abc import Callable, Sequence

import redis
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import exc

import telemetry
from db.queue import inbox, leases, pauses
from db.queue.leases import Leased
from db.queue.stream import StreamMessage
from workers.context import WorkerContext
from workers.pipeline.failure import is_away
from workers.pipeline.give_back import (
    give_back_leases,
    give_back_out_of_time,
    give_back_without_database,
)
from workers.pipeline.in_hand import acknowledge, apply_entries, apply_leased
from workers.pipeline.report import Drained
from workers.pipeline.takeover import take_over_left, take_over_own

# Well under the task's soft time limit; a further drain does the rest.
SECONDS_MAX = 6.0
# A drain that Redis kept for so much longer leases nothing more: the task's time might run out on
# events that did not cause it, and one that is met alone would count as a poison message.
_LATE_SECONDS = 2.0
# Events in quarantine are applied one by one; after this long the stream comes first again.
QUARANTINE_SECONDS_MAX = 1.0
# What was seen of the inbox says nothing after so long: something may be due by now.
_SIGHT_SECONDS_MAX = 1.0
# How often a drain that lost Redis looks whether it is back.
_LOOK_EVERY_SECONDS = 0.25

log = telemetry.get_logger("drain")


def drain(context: WorkerContext, send_wake_up: Callable[[], object]) -> Drained:
    """Apply everything that waits, until nothing does or the time is up.

    `send_wake_up` asks for a further drain. It is called when a batch comes back full, so that
    load spreads over the pool by itself, and when time runs out first.
    """
    done = Drained()
    try:
        _drain_all(context, send_wake_up, done, time.monotonic() + SECONDS_MAX)
    except exc.SQLAlchemyError as error:
        if not is_away(error):
            raise
        log.warning("database away, events wait", error=type(error).__name__)
        give_back_without_database(context, done)
    except SoftTimeLimitExceeded:
        give_back_out_of_time(context, done)
        send_wake_up()
    finally:
        done.log()
    return done


def _drain_all(
    context: WorkerContext, send_wake_up: Callable[[], object], done: Drained, deadline: float
) -> None:
    has_stream = _began(context, done)
    # While the database is away nothing is taken from the stream, where it is safe.
    _look(context, done)
    give_back_leases(context)
    is_cut_off = False
    if has_stream:
        try:
            _drain_stream(context, send_wake_up, done, deadline)
        except redis.RedisError as error:
            is_cut_off = True
            _say_unavailable(error)
            done.entries = ()
    if time.monotonic() - done.looked > _SIGHT_SECONDS_MAX:
        _look(context, done)
    if done.is_due or is_cut_off:
        _drain_inbox(context, done, deadline)
    if is_cut_off:
        _take_up_own(context, done, deadline)
    if done.is_unfinished:
        send_wake_up()


def _began(context: WorkerContext, done: Drained) -> bool:
    """Hold the wake-up flag, unless another does; whether Redis answers."""
    try:
        done.holds_wake_up = context.events.hold_wake_up(context.consumer, context.linger_seconds)
    except redis.RedisError as error:
        _say_unavailable(error)
        return False
    return True


def _say_unavailable(error: redis.RedisError) -> None:
    log.warning("stream unavailable", error=type(error).__name__)


def _look(context: WorkerContext, done: Drained) -> None:
    """See what is paused, which account is ours, and whether anything in the inbox is due."""
    is_left = bool(context.left)
    # In no transaction: to begin one and to end it cost as much as the look itself.
    with context.engine.connect() as taken:
        connection = taken.execution_options(isolation_level="AUTOCOMMIT")
        done.paused, is_due = inbox.look(connection)
        done.own_account = context.own.read(connection)
    done.is_due = is_due or is_left
    done.looked = time.monotonic()


def _take_up_own(context: WorkerContext, done: Drained, deadline: float) -> None:
    """Apply the entries that Redis handed out to this process while it lost the answer.

    Nobody else may take them before their lease ends, and the next drain may be another process's.
    So this one waits for Redis while it has time, and applies what comes to the inbox meanwhile.
    """
    while time.monotonic() < deadline:
        try:
            # A Redis that came back without its data has no group.
            context.events.create_group()
            take_over_own(context, done)
        except redis.RedisError:
            done.entries = ()
        else:
            return
        time.sleep(_LOOK_EVERY_SECONDS)
        _drain_inbox(context, done, deadline)


def _drain_stream(
    context: WorkerContext, send_wake_up: Callable[[], object], done: Drained, deadline: float
) -> None:
    context.events.create_group()
    take_over_left(context, done)
    if done.holds_wake_up:
        _linger(context, done)
        context.events.release_wake_up(context.consumer)
        # What was stored in the inbox meanwhile woke nobody.
        _look(context, done)
    _read_all(context, send_wake_up, done, deadline)


def _linger(context: WorkerContext, done: Drained) -> None:
    """Apply what there is and what comes soon, so that a handful of events needs no task.

    It ends early where something waits for the end of this drain, and where others should help: a
    full batch is left in hand, so that they are asked before it is applied. What is paused, and
    what is due in the inbox, is looked at anew for what it waited for.
    """
    ends = done.started + context.linger_seconds
    while (left_seconds := ends - time.monotonic()) > 0:
        wait_seconds = left_seconds if _may_wait(done) else 0.0
        size = context.size.events
        done.entries = _read(context, done, size, wait_seconds)
        if len(done.entries) in (0, size):
            return
        if time.monotonic() - done.looked > pauses.HEEDED_WITHIN_SECONDS:
            _look(context, done)
        apply_entries(context, done.entries, done)
        context.size.grow()


def _may_wait(done: Drained) -> bool:
    """Whether more may come soon, and nothing else waits for the end of this drain.

    Thin events do, as Stripe is asked about them after it, and what is due in the inbox.
    """
    has_found = bool(done.batches or done.duplicates or done.parked)
    return has_found and not (done.noticed or done.is_due)


def _read_all(
    context: WorkerContext, send_wake_up: Callable[[], object], done: Drained, deadline: float
) -> None:
    """Apply what is in hand and what there is.

    Others are asked to help at the first full batch, before it is applied. What comes meanwhile is
    theirs too.
    """
    has_woken = False
    is_full = True
    while is_full and not done.is_unfinished:
        size = context.size.events
        entries = done.entries or _read(context, done, size)
        is_full = len(entries) == size
        if is_full and not has_woken and context.events.request_wake_up():
            send_wake_up()
            has_woken = True
        apply_entries(context, entries, done)
        context.size.grow()
        done.is_unfinished = time.monotonic() > deadline
    acknowledge(context, done)


def _read(
    context: WorkerContext, done: Drained, size: int, wait_seconds: float = 0.0
) -> list[StreamMessage]:
    """Take entries, and acknowledge what is finished in the same packet."""
    finished, done.finished = done.finished, ()
    return context.events.read(context.consumer, size, wait_seconds=wait_seconds, finished=finished)


def _drain_inbox(context: WorkerContext, done: Drained, deadline: float) -> None:
    """Apply stored events that are due: those stored while Redis was away, and retries."""
    quarantine_ends = min(deadline, time.monotonic() + QUARANTINE_SECONDS_MAX)
    if time.monotonic() > deadline + _LATE_SECONDS:
        done.is_unfinished = True
        return
    rounds = 0
    while leased := _lease(context):
        apply_leased(context, leased, done)
        context.size.grow()
        rounds += 1
        if time.monotonic() > (quarantine_ends if leased[0].is_quarantined else deadline):
            done.is_unfinished = True
            return
    if rounds > 1:
        # They keep coming, as they do while Redis is too slow to be used; they wake nobody then.
        done.is_unfinished = True


def _lease(context: WorkerContext) -> Sequence[Leased]:
    """Commit that these are being tried, so that it is known whatever becomes of this process.

    A commit whose answer is lost may have taken place: then the next drain gives back what it took.
    """
    with context.engine.begin() as connection:
        leased = leases.take(connection, context.size.events, context.retry_delays_seconds)
        context.left.extend(leased)
    context.left.clear()
    return leased
