"""Keeps events moving while Redis, and with it Celery, is away or too full to be written to.

A thread of the worker's main process asks Redis every few seconds. While it takes no writes, no
wake-up arrives, so the thread runs `drain_inbox` as a process of its own: the pool's processes
are forked from this one and must not inherit connections. Several workers may do so at once,
because rows are claimed one by one.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import settings
import telemetry
from db.queue import stream
from db.queue.stream import EventStream

INTERVAL_SECONDS = 2.0
# One unanswered question may be a hiccup.
SILENCES_MIN = 2

log = telemetry.get_logger("without_redis")

_MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


def bridge() -> None:
    """Drain until Redis takes writes, without which Celery cannot start; mostly there is no need.

    Call before Celery forks; no connection is left behind.
    """
    with closing(stream.connect(settings.load(needs=("redis_url",)).redis_url)) as client:
        takes_writes = EventStream(client).takes_writes()
    if not takes_writes:
        _help()


def start_watch() -> None:
    """Start the thread; it ends with the process."""
    found = settings.load(needs=("redis_url",))
    events = EventStream(stream.connect(found.redis_url))
    threading.Thread(
        target=watch, args=(events.takes_writes, _help), name="without-redis", daemon=True
    ).start()


def watch(
    is_there: Callable[[], bool],
    run_helper: Callable[[], object],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
    stop: threading.Event | None = None,
) -> None:
    """Call `run_helper` (which returns when Redis is back) whenever Redis takes no writes."""
    stopped = stop or threading.Event()
    silences = 0
    while not stopped.wait(interval_seconds):
        silences = 0 if is_there() else silences + 1
        if silences >= SILENCES_MIN:
            run_helper()
            silences = 0


def _help() -> None:
    log.warning("redis takes no writes, events are drained without it")
    subprocess.run([sys.executable, str(_MANAGE), "drain_inbox"], check=False)  # noqa: S603 - ours.
    log.info("redis takes writes again")


def until_back(
    is_there: Callable[[], bool],
    drain_once: Callable[[], object],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
) -> None:
    """Drain again and again until Redis takes writes, and then once more.

    The last one is for what waits in Redis itself, because Celery takes longer to come back.
    """
    while not is_there():
        drain_once()
        time.sleep(interval_seconds)
    drain_once()
