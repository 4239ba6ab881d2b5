"""A real RabbitMQ for tests, where the machine has one (Debian's package `rabbitmq-server`)."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # It ships no types.

from dev.up.ports import free_port

# The script itself: what lies on PATH changes its user.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_SECONDS_MAX = 60.0


def is_there() -> bool:
    """Whether this machine can run one."""
    return SERVER.exists() and shutil.which("erl") is not None


class RabbitMQ:
    """One node, with its data in a directory; it may be started and killed again and again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self._epmd, self._inside = free_port(), free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address for Celery."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self.directory / "said.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(SERVER)],
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS_MAX
        while not self._listens():
            assert self._process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, with all of its processes."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def end(self) -> None:
        """Leave nothing of it behind: its port mapper makes itself a session of its own."""
        self.kill()
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error):
                if process.info["name"] == "epmd" and self._is_own(process):
                    process.kill()

    def _is_own(self, process: psutil.Process) -> bool:
        return bool(process.environ().get("ERL_EPMD_PORT") == str(self._epmd))

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def _environment(self) -> dict[str, str]:
        place = self.directory
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"q{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._inside),
            "RABBITMQ_MNESIA_BASE": str(place / "data"),
            "RABBITMQ_LOG_BASE": str(place / "log"),
            "RABBITMQ_PID_FILE": str(place / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(place / "none"),
        }


@contextmanager
def a_rabbitmq(directory: Path) -> Iterator[RabbitMQ]:
    """A node that listens."""
    node = RabbitMQ(directory)
    try:
        node.start()
        yield node
    finally:
        node.end()
