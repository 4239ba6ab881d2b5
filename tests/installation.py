"""A receiver process and operators' commands as processes, beside an offline Stripe and a worker.

The receiver is started again with other secrets as an operator would do it.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from db.queue.stream import EventStream, connect
from dev.up.ports import free_port
from tests.ingest.builders import ENVIRONMENT
from tests.offline_stripe import KEY, Offline, offline_stripe
from tests.pipeline import a_worker_context
from workers.context import WorkerContext
from workers.pipeline.drain import drain

ROOT = Path(__file__).parents[1]
_WEB = (sys.executable, "-c", "from ingest.server import web; web()")
# As at a terminal: what runs in the background of a shell would never hear of Ctrl-C.
_HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
_START = "from workers.commands.command_line import main; main()"
_MANAGE = (sys.executable, "-c", f"{_HEAR_CTRL_C}; {_START}")
# A busy machine of two cores starts a command in ten seconds.
_PATIENCE_SECONDS = 100.0
_SECRET = re.compile(r"not shown again: (whsec_\w+)")
_PATH = "/billing/stripe/webhook/"


def wait_until(done: Callable[[], bool], what: Callable[[], str] | str) -> None:
    """Wait for something to become true; fail when it does not."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.05)


@dataclass
class Command:
    """A command of an operator's, running; what it says is read as it says it."""

    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.said.extend(iter(self.process.stdout.readline, ""))

    @property
    def output(self) -> str:
        """All that it has said so far."""
        return "".join(self.said)

    def says(self, words: str) -> None:
        """Wait until it has said this."""
        wait_until(lambda: words in self.output, lambda: f"{words!r} not in:\n{self.output}")

    @property
    def secret(self) -> str:
        """The secret that it tells, once it does."""
        self.says("not shown again")
        match = _SECRET.search(self.output)
        assert match is not None, self.output
        return match[1]

    def end(self, status: int = 0) -> str:
        """Wait for its end with this status; returns what it said."""
        found = self.process.wait(_PATIENCE_SECONDS)
        self._reader.join(5)
        assert found == status, self.output
        return self.output

    def interrupt(self) -> str:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.end(130)


@dataclass
class Installation:
    """Everything; `secrets` are what receiver and commands are configured with."""

    offline: Offline
    context: WorkerContext
    port: int
    folder: Path
    variables: dict[str, str]
    secrets: list[str] = field(default_factory=list)
    _receiver: "subprocess.Popen[bytes] | None" = None
    _started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the receiver listens for Stripe."""
        return f"http://127.0.0.1:{self.port}{_PATH}"

    def deploy(self, *secrets: str) -> None:
        """Start the receiver with these secrets, in the place of one with others."""
        self.stop()
        self.secrets = list(secrets)
        with (self.folder / "web.log").open("ab") as log:
            self._receiver = subprocess.Popen(
                _WEB, cwd=self.folder, env=self._environment(), stdout=log, stderr=log
            )
        wait_until(self._answers, "the receiver never answered")

    def stop(self) -> None:
        """Stop the receiver, as a deployment does."""
        if self._receiver is not None:
            self._receiver.terminate()
            self._receiver.wait(_PATIENCE_SECONDS)
            self._receiver = None

    def _answers(self) -> bool:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE, str(self.port)], check=False, capture_output=True
        )
        return probe.returncode == 0

    def start(self, *words: str) -> Command:
        """Start a command."""
        process = subprocess.Popen(
            [*_MANAGE, *words],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return Command(process)

    def run(self, *words: str, status: int = 0) -> str:
        """Run a command to its end."""
        return self.start(*words).end(status)

    def drain(self) -> None:
        """Apply what has arrived."""
        drain(self.context, lambda: None)

    def close(self) -> None:
        """End what still runs."""
        self.stop()
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait(_PATIENCE_SECONDS)
            if process.stdout is not None:
                process.stdout.close()

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **ENVIRONMENT,
            **self.variables,
            "STRIPE_WEBHOOK_SECRET": ",".join(self.secrets) or "whsec_none_yet",
        }


_PROBE = (
    "import sys, urllib.request;"
    "urllib.request.urlopen(f'http://127.0.0.1:{sys.argv[1]}/healthz', timeout=5).read()"
)


@contextmanager
def installation(database_url: str, redis_url: str, folder: Path) -> Iterator[Installation]:
    """An installation on empty engines, whose Stripe account has no endpoint yet."""
    client = connect(redis_url, timeout_seconds=3.0)
    context = replace(a_worker_context(database_url, redis_url), events=EventStream(client))
    with offline_stripe(folder / "stripe.sqlite") as offline:
        port = free_port()
        variables = {
            "DATABASE_URL": database_url.replace("+psycopg2", ""),
            "REDIS_URL": redis_url,
            "PORT": str(port),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "STRIPE_API_BASE": offline.url,
            "STRIPE_SECRET_KEY": KEY,
        }
        opened = Installation(offline, context, port, folder, variables)
        try:
            yield opened
        finally:
            opened.close()
            context.engine.dispose()
            client.close()
