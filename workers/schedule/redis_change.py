"""Notices that another Redis answers than before, for Stripe's list to be read anew.

A Redis that took the place of another may lack what that one was given: what was answered 200 and
never copied. Stripe has it still.
"""

import redis

import telemetry
from db.operations import redis_seen
from workers.context import WorkerContext

log = telemetry.get_logger("redis_change")


def notice(context: WorkerContext) -> bool:
    """Note which Redis answers; True when it was another before, so the list is to be read now."""
    try:
        server_id = context.events.server_id()
    except (redis.RedisError, OSError):
        return False
    with context.engine.begin() as connection:
        is_another = redis_seen.notice(connection, server_id)
    if is_another:
        log.warning("redis is another than before", stripe_is_asked=context.can_ask)
    return is_another
