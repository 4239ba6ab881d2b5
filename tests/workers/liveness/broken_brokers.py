"""Brokers that do not work, and a real worker process that is given one."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[3]
# From the store to the effect, whatever the broker does.
SECONDS_MAX = 30.0


@contextmanager
def that_hangs() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@contextmanager
def that_refuses() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def a_worker(log_path: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with these settings; nothing of it is left behind."""
    command = [sys.executable, str(ROOT / "manage.py"), "worker", "--concurrency", "1"]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS_MAX) -> float:
    """Wait until this holds; returns how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.1)
    return time.monotonic() - began
