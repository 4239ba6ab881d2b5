"""The whole product as a process tree of its own, and a hand on every process in it.

It is started by `manage.py up` as a person would, and only ever touched from outside: by signals,
by HTTP, and by connections that any administrator of the engines could open.
"""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

import psutil  # type: ignore[import-untyped]  # It ships no types.
from dotenv import dotenv_values

from dev.checks import seclusion
from dev.up.ports import free_port
from dev.up.processes import LAUNCHER

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_SECONDS = 90.0
STOP_TIMEOUT_SECONDS = 40.0
PROBE_TIMEOUT_SECONDS = 3.0
COMMAND_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05

# How a process of each role is told by its command line.
ROLES: Mapping[str, Callable[[Sequence[str]], bool]] = {
    "receiver": lambda words: words[2:3] == ["web"],
    "worker": lambda words: words[2:3] == ["worker"],
    "beat": lambda words: words[2:3] == ["beat"],
    # It names itself anew once it runs.
    "redis": lambda words: "-server" in words[0].rpartition("/")[2],
    "postgres": lambda words: words[0].endswith("postgres") and "-D" in words,
}

CHILDREN_MIN = {"receiver": 1, "worker": 2}


# A Stripe that is named is not played by `up`, and without a key nobody asks it.
NO_STRIPE = {"STRIPE_API_BASE": "http://127.0.0.1:1"}


class ProductError(Exception):
    """The product did not start, come back or stop; the text says which and where its log is."""


class Product:
    """One run of `up` in a directory; a context manager that leaves no process behind.

    Enter it in the main thread, which the kernel takes for the parent of what it starts.
    """

    def __init__(
        self,
        directory: Path,
        *,
        root: Path = ROOT,
        log_path: Path | None = None,
        stripe: Mapping[str, str] = NO_STRIPE,
    ) -> None:
        """`root` is the checkout to run; what it says goes to `log_path`, or beside the data.

        `stripe` has the variables that name the Stripe it asks.
        """
        self.directory = directory
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log_path = log_path or directory.parent / f"{directory.name}.log"
        self.root = root
        self._stripe = dict(stripe)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self._log = self.log_path.open("ab")
        # If we are killed it is told to stop, and so leaves nothing behind.
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), "--parent", str(os.getpid())]
        launcher += ["--death-signal", str(int(signal.SIGTERM)), "--"]
        command = [*launcher, sys.executable, str(self.root / "manage.py"), "up"]
        self._process = subprocess.Popen(  # noqa: S603 - the project's own command.
            [*command, "--data", str(self.directory), "--port", str(self.port)],
            cwd=self.directory.parent,
            env=_environment() | self._stripe,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self.await_whole()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        assert self._log
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                _send(process, signal.SIGCONT)
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            # Its guard ends what it leaves behind.
            self._process.kill()
            self._process.wait()
        self._log.close()

    @property
    def settings(self) -> Mapping[str, str]:
        """The addresses and secrets of this run, as `up` wrote them."""
        settings = dotenv_values(self.directory / "dev.env", interpolate=False)
        return {name: value for name, value in settings.items() if value}

    def command(self, *words: str) -> str:
        """What a command of the product says, run as an operator would run it."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        done = subprocess.run(  # noqa: S603 - the project's own command.
            [sys.executable, str(self.root / "manage.py"), *words],
            cwd=self.directory.parent,
            env=kept | dict(self.settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        if done.returncode:
            raise ProductError(f"{' '.join(words[:2])} failed: {done.stderr[-300:]}")
        return done.stdout

    def main(self, role: str) -> psutil.Process:
        """The process that leads a role; raises `ProductError` where there is none."""
        leader = self._leaders().get(role)
        if leader is None:
            raise ProductError(f"no {role} is running (log: {self.log_path})")
        return leader

    def children(self, role: str) -> list[psutil.Process]:
        """The processes that do a role's work for its leader; none where there is no leader."""
        leader = self._leaders().get(role)
        with contextlib.suppress(psutil.Error):
            return leader.children(recursive=True) if leader else []
        return []

    def signal(self, role: str, number: signal.Signals) -> None:
        """Send a signal to a role as a whole: its leader first, then its children."""
        leader = self._leaders().get(role)
        children = self.children(role)
        if leader:
            _send(leader, number)
        for child in children:
            _send(child, number)

    @contextlib.contextmanager
    def unattended(self) -> Iterator[None]:
        """Hold the supervisor still, so that what is killed stays away until the block ends."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def is_whole(self) -> bool:
        """Whether every role is running and the receiver says that everything answers."""
        leads = self._leaders().keys() == ROLES.keys()
        # Between its start and its first child a role cannot do anything.
        works = all(len(self.children(role)) >= least for role, least in CHILDREN_MIN.items())
        return leads and works and self._is_ready()

    def await_whole(self) -> None:
        """Wait until `is_whole`; raises `ProductError` when that takes too long."""
        assert self._process
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.is_whole():
            if self._process.poll() is not None or time.monotonic() > deadline:
                has = ", ".join(sorted(self._leaders())) or "nothing"
                raise ProductError(f"only {has} runs in time (log: {self.log_path})")
            time.sleep(POLL_SECONDS)

    def _leaders(self) -> dict[str, psutil.Process]:
        assert self._process
        leaders: dict[str, psutil.Process] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children():
                words = _words(child)
                for role, is_it in ROLES.items():
                    # Before it becomes the server it is our launcher, named with an option.
                    if words and "--parent" not in words and is_it(words):
                        leaders[role] = child
        return leaders

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=PROBE_TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status == http.HTTPStatus.OK and b'"ready"' in answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _environment() -> dict[str, str]:
    """Ours, without anything that would name an engine or a secret, or lead out of this machine."""
    return seclusion.secluded(os.environ) | NO_STRIPE


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return list(process.cmdline())
    return []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
