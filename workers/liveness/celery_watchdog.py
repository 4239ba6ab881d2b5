"""Ends a worker whose Celery has stopped listening, so that its supervisor starts it anew.

When a connection to Redis breaks while a message is being acknowledged, Celery may go on without
the connection on which it listens: alive, idle, and deaf for ever. So the main process watches
itself: messages that wait while none is received for longer than any task may take are proof,
and sooner if no task is in hand that could keep it from receiving. It ends nothing while Redis is
away or the queue is empty.
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

INTERVAL_SECONDS = 2.0
# Both processes of the pool may be busy for a whole hard time limit; after that one must be free.
# Two reconciles at once would look the same, and lose nothing but time by a new beginning.
SILENT_ROUNDS_MAX = int(celery_config.TIME_LIMIT_SECONDS // INTERVAL_SECONDS) + 2
# With nothing in hand; Celery itself may wait so long before it tries a connection again.
IDLE_ROUNDS_MAX = 4
# What a soft shutdown takes at most; a worker that does not end by then is ended.
PATIENCE_SECONDS = 2.0 * celery_config.SOFT_SHUTDOWN_SECONDS

log = telemetry.get_logger("deafness")


class Hearing:
    """Whether messages that wait are received; threads share one."""

    def __init__(self) -> None:
        self._silent_rounds = 0

    def heard(self, **_signal: object) -> None:
        """Note that a message was received."""
        self._silent_rounds = 0

    def is_lost(self, waiting: int | None, in_hand: int) -> bool:
        """Whether it is lost, from how many messages wait and how many tasks run.

        Ask at a steady interval; None says that Redis did not tell. That proves nothing, and takes
        nothing back: a worker may be deaf since the first of several short absences.
        """
        if waiting is None:
            return False
        self._silent_rounds = self._silent_rounds + 1 if waiting else 0
        return self._silent_rounds > (SILENT_ROUNDS_MAX if in_hand else IDLE_ROUNDS_MAX)


_hearing = Hearing()
task_received.connect(_hearing.heard, weak=False)


def start_watch() -> None:
    """Start the thread that watches this process; only where the broker is a Redis."""
    url = settings.load(needs=("redis_url",)).celery_broker_url
    if not url.startswith(("redis", "unix")):
        return
    client = stream.connect(url)
    threading.Thread(
        target=watch,
        args=(
            lambda: client.llen(celery_config.QUEUE),
            lambda: len(state.active_requests),
            _hearing,
            _begin_anew,
        ),
        name="deafness",
        daemon=True,
    ).start()


def watch(
    waiting: Callable[[], int],
    in_hand: Callable[[], int],
    hearing: Hearing,
    begin_anew: Callable[[], object],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
) -> None:
    """Call `begin_anew` once hearing is lost, and return."""
    is_lost = False
    while not is_lost:
        time.sleep(interval_seconds)
        is_lost = hearing.is_lost(_asked(waiting), in_hand())
    begin_anew()


def _asked(waiting: Callable[[], int]) -> int | None:
    with suppress(redis.RedisError, OSError):
        return waiting()
    return None  # While Redis is away there is nothing to hear.


def _begin_anew() -> None:
    log.error("celery does not listen any more, the worker ends to begin anew")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_SECONDS)
    os._exit(1)
