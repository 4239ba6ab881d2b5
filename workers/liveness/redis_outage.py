"""Keeps events moving while Redis, and with it Celery, is away or too full to be written to.

A thread of the worker's main process asks Redis every few seconds. While Redis takes no writes, no
wake-up arrives. So the thread runs the command `drain_inbox`, in a process of its own because the
pool's processes are forked from this one and must not share its connections. Several workers may
do so at once, because each row goes to one of them.
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
# One failed probe may be a hiccup.
SILENCES_MIN = 2

log = telemetry.get_logger("redis_outage")

_MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


def wait_for_redis(run_drain: Callable[[], object]) -> None:
    """Call `run_drain`, which returns when Redis is back, where Redis takes no writes now.

    Celery cannot start without Redis. Call this before Celery forks; it leaves no connection open.
    """
    with closing(stream.connect(settings.load(needs=("redis_url",)).redis_url)) as client:
        is_there = EventStream(client).takes_writes()
    if not is_there:
        run_drain()


def start_watch() -> None:
    """Start the thread that watches Redis; it ends with the process."""
    configured = settings.load(needs=("redis_url",))
    events = EventStream(stream.connect(configured.redis_url))
    threading.Thread(
        target=watch,
        args=(events.takes_writes, drain_without_redis),
        name="redis-outage",
        daemon=True,
    ).start()


def watch(
    takes_writes: Callable[[], bool],
    run_drain: Callable[[], object],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
    stop: threading.Event | None = None,
) -> None:
    """Call `run_drain`, which returns when Redis is back, whenever Redis takes no writes."""
    stopped = stop or threading.Event()
    silences = 0
    while not stopped.wait(interval_seconds):
        silences = 0 if takes_writes() else silences + 1
        if silences >= SILENCES_MIN:
            run_drain()
            silences = 0


def drain_without_redis() -> None:
    """Run `drain_inbox` in a process of its own; return when Redis takes writes again."""
    log.warning("redis takes no writes, the inbox is drained without it")
    subprocess.run([sys.executable, str(_MANAGE), "drain_inbox"], check=False)  # noqa: S603 - ours.
    log.info("redis takes writes again")


def until_back(
    takes_writes: Callable[[], bool],
    drain_once: Callable[[], object],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
) -> None:
    """Drain again and again until Redis takes writes, and then once more.

    The last drain is for what waits in Redis, because Celery takes longer to come back.
    """
    while not takes_writes():
        drain_once()
        time.sleep(interval_seconds)
    drain_once()
