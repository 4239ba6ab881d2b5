"""The liveness file: a worker or the scheduler touches it, and a supervisor sees that it lives.

A process that is stopped, or stuck for ever inside one call, does not touch the file. The file
shows no more than that: `workers.liveness.celery_watchdog` watches whether a worker receives
tasks, and `db.queue.heartbeat` whether the sweep runs.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

INTERVAL_SECONDS = 1.0


def touch_regularly(path: Path, *, until: Callable[[], bool] = lambda: False) -> None:
    """Touch the file every second, from a thread that ends with the process or by `until`."""
    threading.Thread(
        target=_touch_until, args=(path, until), name="liveness-file", daemon=True
    ).start()


def touch(path: Path) -> None:
    """Touch the file once. A full disk does not end the process."""
    with suppress(OSError):
        path.touch()


def _touch_until(path: Path, until: Callable[[], bool]) -> None:
    while not until():
        touch(path)
        time.sleep(INTERVAL_SECONDS)
