"""Access that changes by itself: a grace that ends, a canceled period, a pause that is over.

No event comes at such an instant, so the scheduler has it looked for every few seconds. A change of
the catalogue makes everybody due.
"""

import time

import telemetry
from db.access import states
from db.outbox import changes, messages
from db.together import Together
from workers.context import WorkerContext

# Users in one transaction, and how long one run begins new ones; the next run goes on.
USERS_AT_A_TIME = 200
RUN_SECONDS = 5.0

log = telemetry.get_logger("access")


def look_at_due(context: WorkerContext, *, at_a_time: int = USERS_AT_A_TIME) -> int:
    """Look at everybody whose access changes about now, and tell them; returns for how many."""
    end = time.monotonic() + RUN_SECONDS
    changed, looked_at = 0, at_a_time
    while looked_at == at_a_time and time.monotonic() < end:
        with context.engine.begin() as connection:
            together = Together(connection)
            looked_at, found = states.look_at_due(together, context.catalogue.get, limit=at_a_time)
            told = messages.write_last(together, list(changes.of_access(found)))
        context.hint(told)
        changed += len(found)
    if changed:
        log.info("access changed by itself", users=changed)
    return changed
