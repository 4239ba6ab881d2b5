"""Gives back what a drain has in hand and cannot finish, so that any worker may take it."""

from collections.abc import Collection

import redis
from sqlalchemy import exc

import telemetry
from db.queue import leases
from workers.context import WorkerContext
from workers.pipeline.report import Drained

log = telemetry.get_logger("drain")


def give_back_without_database(context: WorkerContext, done: Drained) -> None:
    """Give everything back while the database is away: nobody can work, so the wake-up waits.

    The leases of stored events are in the database, so the next drain gives those back.
    """
    context.left.extend(done.leased)
    try:
        context.events.postpone_wake_up()
    except redis.RedisError as error:
        log.warning("entries not given back", error=type(error).__name__)
        return
    _give_back_entries(context)


def give_back_out_of_time(context: WorkerContext, done: Drained) -> None:
    """Give back what was not finished in time, and take less next time.

    Time also runs out on a slow machine, so nothing is counted. Only an event that was tried alone
    stays counted: the next worker meets it alone.
    """
    tried = len(done.entries) or len(done.leased)
    log.warning("out of time, events wait", events=tried)
    context.size.cut(tried)
    is_alone = tried == 1
    context.left.extend(() if is_alone else done.leased)
    _give_back_entries(context, but=[entry.entry_id for entry in done.entries if is_alone])
    give_back_now(context)


def give_back_leases(context: WorkerContext) -> None:
    """End the leases of stored events that this process took and could not try."""
    if context.left:
        with context.engine.begin() as connection:
            leases.give_back(connection, context.left)
        context.left.clear()


def give_back_now(context: WorkerContext) -> None:
    """As above, and where the database is away their leases run out; raises nothing."""
    try:
        give_back_leases(context)
    except exc.SQLAlchemyError as error:
        log.warning("events not given back", error=type(error).__name__)


def _give_back_entries(context: WorkerContext, *, but: Collection[bytes] = ()) -> None:
    try:
        context.events.give_back(context.consumer, but=but)
    except redis.RedisError as error:
        # Then this process takes them up again, or the lease frees them.
        log.warning("entries not given back", error=type(error).__name__)
