"""The sweep: every few seconds, sends a wake-up if anything waits that no worker is at.

It finds lost wake-ups, events stored while Redis was away, retries that are due, and entries whose
worker died. Once an hour it deletes consumers that have long ended.
"""

from collections.abc import Callable

import redis

import telemetry
from db.queue import inbox
from workers.context import WorkerContext

log = telemetry.get_logger("sweep")


def sweep(context: WorkerContext, send_wake_up: Callable[[], object]) -> bool:
    """Send one wake-up if anything waits and none is on its way; says whether it did."""
    context.beat()
    _delete_idle_consumers(context)
    if not _waits(context):
        return False
    try:
        is_first = context.events.renew_wake_up()
    except redis.RedisError as error:
        log.warning("stream unavailable", error=type(error).__name__)
        is_first = True
    if is_first:
        send_wake_up()
    return is_first


def _delete_idle_consumers(context: WorkerContext) -> None:
    try:
        deleted = context.events.delete_idle_consumers()
    except redis.RedisError as error:
        log.warning("idle consumers not deleted", error=type(error).__name__)
        return
    if deleted:
        log.info("idle consumers deleted", consumers=deleted)


def _waits(context: WorkerContext) -> bool:
    try:
        if context.events.length():
            return True
    except redis.RedisError as error:
        log.warning("stream unavailable", error=type(error).__name__)
    with context.engine.connect() as connection:
        return inbox.is_due(connection)
