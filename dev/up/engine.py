"""What an embedded engine is: a directory, a server process that owns it, an address.

The base of PostgreSQL and Valkey. An engine never restarts itself; whoever holds it decides.
"""

import abc
import contextlib
import errno
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from dev.up import logs
from dev.up.errors import EngineError
from dev.up.files import PRIVATE, lock_within, write_private
from dev.up.ports import free_port
from dev.up.processes import Account, Steps, account_for, end, send, spawn, sweep
from dev.up.suppliers import SupplierError

START_TIMEOUT_SECONDS = 60.0
# A server whose supervisor was killed needs a moment to put its affairs in order.
LOCK_PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.05
LAST_LINES = 6
# A new cluster with room to work; and enough for one that exists to start and say what is wrong.
NEW_BYTES_MIN = 128 * 1024 * 1024
OLD_BYTES_MIN = 16 * 1024 * 1024
# What an engine may see of our environment: where to find libraries, never a PG* or a secret.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine listens on the loopback interface, and its password."""

    port: int
    password: str


class Engine(abc.ABC):
    """One embedded server with its data in `<directory>/<name>`.

    `launch` and `ready` are for those who watch several processes at once; `start` does both and
    waits. Data outlives the process, however it ended. With `durable=False` the disk is not waited
    for: only for tests that never kill the engine.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    death_signal: ClassVar[signal.Signals] = signal.SIGKILL
    stop_steps: ClassVar[Steps]

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory.absolute()
        self.home = self.directory / self.name
        self.log_path = self.directory / logs.DIRECTORY / f"{self.name}.log"
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self._address: Address | None = None
        self._log_start = 0

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """The address with password; known once launched."""

    @abc.abstractmethod
    def _prepare(self, account: Account | None) -> None:
        """Make the directory ready to be served, owned by `account`."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """The server's command line."""

    @abc.abstractmethod
    def _answers(self) -> bool:
        """Whether the server takes work now; never blocks for more than a few seconds."""

    @property
    def address(self) -> Address:
        """Port and password; raises `EngineError` before the first launch."""
        if self._address is None:
            raise EngineError(f"{self.title} has not been started")
        return self._address

    @property
    def alive(self) -> bool:
        """Whether the server process exists."""
        return self.process is not None and self.process.poll() is None

    def launch(self) -> None:
        """Start the server process and return at once. Raises `EngineError`."""
        with self._failures_explained(), self._locked() as lock:
            self._require_space()
            account = account_for(self.home)
            self._address = self._address or self._remembered_address()
            self._prepare(account)
            self.process = self._run(self._command(), account, reach=(self.home,), keep=(lock,))

    def ready(self) -> bool:
        """Whether the server answers; raises `EngineError`, with its last words, if it died."""
        if self.process is None or self.process.poll() is not None:
            raise EngineError(f"{self.title} did not start: {self._last_words()}")
        return self._answers()

    def start(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Launch, and wait until it answers. Raises `EngineError`."""
        self.launch()
        deadline = time.monotonic() + timeout_seconds
        while not self.ready():
            if time.monotonic() > deadline:
                self.stop()
                raise EngineError(f"{self.title} gives no answer; see {self.log_path}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the server cleanly, by force if it takes too long. Again is a no-op."""
        if self.process is not None:
            end(self.process, self.stop_steps)

    def kill(self) -> None:
        """End the server at once, as a crash would; for tests of crashes."""
        if self.process is not None:
            send(self.process, signal.SIGKILL)
            self.process.wait()
            sweep(self.process)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(
        self,
        command: list[str],
        account: Account | None,
        *,
        reach: Sequence[Path],
        keep: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            return spawn(
                command,
                output=log,
                account=account,
                reach=(Path(command[0]), *reach),
                death_signal=self.death_signal,
                keep=keep,
                environment=self._environment(),
            )

    @staticmethod
    def _environment() -> dict[str, str]:
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**passed, "LC_ALL": "C", "TZ": "UTC"}

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the directory's lock, as a descriptor for the server to inherit.

        Every process of the server keeps the descriptor open, so the lock is free exactly when
        none of them is left, whichever way they ended.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(exist_ok=True)
        logs.set_aside(self.log_path)
        lock = os.open(self.directory / f"{self.name}.lock", os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            if not lock_within(lock, LOCK_PATIENCE_SECONDS):
                raise EngineError(
                    f"{self.title} is already running in {self.directory}; "
                    "stop it or choose another --data"
                )
            yield lock
        finally:
            os.close(lock)

    def _require_space(self) -> None:
        free = shutil.disk_usage(self.directory).free
        needed = OLD_BYTES_MIN if self.home.exists() else NEW_BYTES_MIN
        if free < needed:
            raise EngineError(
                f"no room on the disk of {self.directory}: {free // 1024**2} MiB free, "
                f"{needed // 1024**2} MiB needed; free some or choose another --data"
            )

    def _remembered_address(self) -> Address:
        """The address of last time, on another port if that one is taken now."""
        path = self.directory / f"{self.name}.json"
        if path.exists():
            address = self._kept_address(path)
        elif self.home.exists() and any(self.home.iterdir()):
            raise EngineError(
                f"{self.home} holds data but its password file {path} is missing; "
                "put it back, or move the data away to begin anew"
            )
        else:
            address = Address(free_port(), secrets.token_hex(16))
        write_private(path, json.dumps({"port": address.port, "password": address.password}))
        return address

    @staticmethod
    def _kept_address(path: Path) -> Address:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Address(free_port(int(kept["port"])), str(kept["password"]))
        except (ValueError, TypeError, LookupError) as error:
            cure = "put back what it said, or move the data away to begin anew"
            raise EngineError(f"the password file {path} is spoiled; {cure}") from error

    def last_words(self) -> list[str]:
        """What the server said last, since its launch."""
        with contextlib.suppress(OSError):
            return self._said()[-LAST_LINES:]
        return []

    def _said(self) -> list[str]:
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace").splitlines()

    def _last_words(self) -> str:
        lines = self._said()
        said = [line for line in lines if "FATAL" in line or "PANIC" in line or "DETAIL" in line]
        said = said[-2:] or lines[-1:] or ["it said nothing"]
        return f"{' '.join(line.strip() for line in said)} (log: {self.log_path})"

    @contextlib.contextmanager
    def _failures_explained(self) -> Iterator[None]:
        try:
            yield
        except (SupplierError, LookupError) as error:
            raise EngineError(f"{self.title}: {error}") from error
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = "free some disk space" if full else "choose a --data you may write to"
            raise EngineError(f"{self.title} in {self.directory}: {error}; {advice}") from error
