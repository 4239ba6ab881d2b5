"""Empties the stream and the inbox in batches: what a wake-up asks for.

A worker acknowledges stream entries only after their batch is committed. So a worker that dies at
any point leaves them to be taken over by the next drain. A stored event is due again when the lease
of an attempt that never ended has run out.
"""

import time
from collections.abc import Callable, Sequence

import redis
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import exc

import telemetry
from db.queue import inbox, leases
from db.queue.leases import Leased
from workers.context import WorkerContext
from workers.pipeline.failure import is_away
from workers.pipeline.give_back import (
    give_back_leases,
    give_back_out_of_time,
    give_back_without_database,
)
from workers.pipeline.in_hand import apply_entries, apply_leased
from workers.pipeline.report import Drained
from workers.pipeline.takeover import take_over_left, take_over_own

# Well under the task's soft time limit; a further drain does the rest.
SECONDS_MAX = 6.0
# A drain that Redis kept for so much longer leases nothing more: the task's time might run out on
# events that did not cause it, and one that is met alone would count as a poison message.
_LATE_SECONDS = 2.0
# Events in quarantine are applied one by one; after this long the stream comes first again.
QUARANTINE_SECONDS_MAX = 1.0
# What was seen of the inbox as a drain began says nothing after so long: it may be due by now.
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
    # First, so that whatever is stored after the look at the inbox brings a wake-up of its own.
    has_stream = _took_wake_up(context)
    # While the database is away nothing is taken from the stream, where it is safe.
    is_due = _look(context, done)
    give_back_leases(context)
    is_cut_off = False
    if has_stream:
        try:
            _drain_stream(context, send_wake_up, done, deadline)
        except redis.RedisError as error:
            is_cut_off = True
            _say_unavailable(error)
            done.entries = ()
    if is_due or is_cut_off or time.monotonic() - done.started > _SIGHT_SECONDS_MAX:
        _drain_inbox(context, done, deadline)
    if is_cut_off:
        _take_up_own(context, done, deadline)
    if done.is_unfinished:
        send_wake_up()


def _took_wake_up(context: WorkerContext) -> bool:
    try:
        context.events.clear_wake_up()
    except redis.RedisError as error:
        _say_unavailable(error)
        return False
    return True


def _say_unavailable(error: redis.RedisError) -> None:
    log.warning("stream unavailable", error=type(error).__name__)


def _look(context: WorkerContext, done: Drained) -> bool:
    """See what is paused and which account is ours; whether anything in the inbox is due."""
    is_left = bool(context.left)
    # In no transaction: to begin one and to end it cost as much as the look itself.
    with context.engine.connect() as taken:
        connection = taken.execution_options(isolation_level="AUTOCOMMIT")
        done.paused, is_due = inbox.look(connection)
        done.own_account = context.own.read(connection)
    return is_due or is_left


def _take_up_own(context: WorkerContext, done: Drained, deadline: float) -> None:
    """Apply the entries that Redis handed out to this process while it lost the answer.

    Nobody else may take them before their lease ends, and the next drain may be another process's.
    So this one waits for Redis while it has time, and applies what comes to the inbox meanwhile.
    """
    while time.monotonic() < deadline:
        try:
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
    has_woken = False
    while entries := context.events.read(context.consumer, size := context.size.events):
        if len(entries) == size and not has_woken and context.events.request_wake_up():
            send_wake_up()
            has_woken = True
        apply_entries(context, entries, done)
        context.size.grow()
        if time.monotonic() > deadline:
            done.is_unfinished = True
            return


def _drain_inbox(context: WorkerContext, done: Drained, deadline: float) -> None:
    """Apply stored events that are due: those stored while Redis was away, and retries."""
    quarantine_ends = min(deadline, time.monotonic() + QUARANTINE_SECONDS_MAX)
    if time.monotonic() > deadline + _LATE_SECONDS:
        done.is_unfinished = True
        return
    while leased := _lease(context):
        apply_leased(context, leased, done)
        context.size.grow()
        if time.monotonic() > (quarantine_ends if leased[0].is_quarantined else deadline):
            done.is_unfinished = True
            return


def _lease(context: WorkerContext) -> Sequence[Leased]:
    """Commit that these are being tried, so that it is known whatever becomes of this process.

    A commit whose answer is lost may have taken place: then the next drain gives back what it took.
    """
    with context.engine.begin() as connection:
        leased = leases.take(connection, context.size.events, context.retry_delays_seconds)
        context.left.extend(leased)
    context.left.clear()
    return leased
