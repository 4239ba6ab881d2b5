"""The watchdog ends a worker whose Celery receives nothing any more; its supervisor restarts it.

When a connection to Redis breaks while Celery acknowledges a message, Celery may go on without the
connection on which it receives: it is alive and idle, and never receives a message again. So the
worker's main process watches itself. Messages that wait while none is received for longer than
any task may take are proof. The proof is sooner where the worker runs no task. The watchdog ends
nothing while the broker is away or the queue is empty.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import redis
from celery.signals import task_received
from celery.worker import state

import celery_config
import settings
import telemetry
from db.queue import stream
from workers.rabbitmq import QueueLength

INTERVAL_SECONDS = 2.0
# Both processes of the pool may be busy for a whole hard time limit; after that one must be free.
# Two reconcile tasks at once may be busy for longer; a restart costs them time and nothing else.
SILENT_ROUNDS_MAX = int(celery_config.TIME_LIMIT_SECONDS // INTERVAL_SECONDS) + 2
# While no task runs. Celery itself may wait so long before it connects again.
IDLE_ROUNDS_MAX = 4
# A soft shutdown takes less; a worker that has not ended by then is killed.
SHUTDOWN_SECONDS_MAX = 2.0 * celery_config.SOFT_SHUTDOWN_SECONDS

log = telemetry.get_logger("celery_watchdog")


class Reception:
    """Whether Celery receives the messages that wait; threads share one."""

    def __init__(self) -> None:
        self._silent_rounds = 0

    def message_received(self, **_signal: object) -> None:
        """Note that Celery received a message."""
        self._silent_rounds = 0

    def is_lost(self, waiting: int | None, in_hand: int) -> bool:
        """Whether Celery receives nothing any more, given how many messages wait and tasks run.

        Ask at a steady interval. `waiting` is None where the broker did not answer. That proves
        nothing, but the count goes on: Celery may have stopped at the first of several outages.
        """
        if waiting is None:
            return False
        self._silent_rounds = self._silent_rounds + 1 if waiting else 0
        return self._silent_rounds > (SILENT_ROUNDS_MAX if in_hand else IDLE_ROUNDS_MAX)


_reception = Reception()
task_received.connect(_reception.message_received, weak=False)


def start_watch() -> None:
    """Start the thread that watches this process."""
    threading.Thread(
        target=watch,
        args=(
            _question(settings.load(needs=("redis_url",))),
            lambda: len(state.active_requests),
            _reception,
            _restart,
        ),
        name="celery-watchdog",
        daemon=True,
    ).start()


def _question(configured: settings.Settings) -> Callable[[], int]:
    """Asks the broker how many messages wait."""
    url = configured.celery_broker_url
    if celery_config.is_rabbitmq(url):
        return QueueLength(configured).ask
    client = stream.connect(url)
    return lambda: int(client.llen(celery_config.QUEUE))


def watch(
    waiting: Callable[[], int],
    in_hand: Callable[[], int],
    reception: Reception,
    restart: Callable[[], object],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
) -> None:
    """Call `restart` once Celery receives nothing any more, and return."""
    is_lost = False
    while not is_lost:
        time.sleep(interval_seconds)
        is_lost = reception.is_lost(_answered(waiting), in_hand())
    restart()


def _answered(waiting: Callable[[], int]) -> int | None:
    with suppress(redis.RedisError, OSError):
        return waiting()
    return None  # The broker is away, so nobody knows what waits.


def _restart() -> None:
    log.error("celery receives nothing any more, the worker restarts")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SHUTDOWN_SECONDS_MAX)
    os._exit(1)
