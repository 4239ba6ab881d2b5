"""Deletes messages that are old and that everybody has, some thousand at a time."""

import time

import telemetry
from db.outbox import pruning
from workers.context import WorkerContext

# One run begins no further part after this long; the next run goes on.
RUN_SECONDS = 5.0
MESSAGES_AT_A_TIME = 2_000

log = telemetry.get_logger("prune")


def prune(context: WorkerContext, *, at_a_time: int = MESSAGES_AT_A_TIME) -> int:
    """Delete what nobody waits for any more; returns how many messages."""
    end = time.monotonic() + RUN_SECONDS
    deleted, part = 0, at_a_time
    while part == at_a_time and time.monotonic() < end:
        with context.engine.begin() as connection:
            part = pruning.prune(connection, limit=at_a_time)
        deleted += part
    if deleted:
        log.info("old messages deleted", messages=deleted)
    return deleted
