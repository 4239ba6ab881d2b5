"""Shows a supervisor that a worker or the scheduler is alive, by touching a file again and again.

A process that is stopped, or held for ever inside one call, touches nothing. It shows no more than
that: what a worker hears is watched by `workers.liveness.celery_watchdog`, what it does by
`db.queue.heartbeat`.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

INTERVAL_SECONDS = 1.0


def start(path: Path, *, until: Callable[[], bool] = lambda: False) -> None:
    """Touch the file from a thread, which ends with the process or when `until` says so."""
    threading.Thread(target=_go_on, args=(path, until), name="pulse", daemon=True).start()


def touch(path: Path) -> None:
    """Touch the file once. A disk that refuses that is no reason to end."""
    with suppress(OSError):
        path.touch()


def _go_on(path: Path, until: Callable[[], bool]) -> None:
    while not until():
        touch(path)
        time.sleep(INTERVAL_SECONDS)
