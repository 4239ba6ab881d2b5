"""A machine of the run: an address, and processes that are started, stopped and lost together."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # It ships no types.

from dev.up.processes import LAUNCHER, Account

STOP_SECONDS_MAX = 20.0


class MachineError(Exception):
    """A machine could not be made, or a command on it failed; the text says which and why."""


@dataclass(eq=False, slots=True)
class Service:
    """A program that its machine starts again whenever it has ended, while it is wanted."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    account: Account | None = None
    reach: Sequence[Path] = ()
    # What a process that was lost has left, and the next one would take for a living one.
    stale: Path | None = None
    is_wanted: bool = True
    process: subprocess.Popen[bytes] | None = None
    ended_at: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self.process is not None and self.process.poll() is None


@dataclass(eq=False, slots=True)
class Machine:
    """A machine that is a loopback address and groups of processes: all that any system allows."""

    name: str
    address: str
    directory: Path
    services: list[Service] = field(default_factory=list)
    is_up: bool = False
    is_stopped: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self) -> None:
        """Switch it on: its network, then all of its services."""
        with self.lock:
            self._connect()
            self.is_up = True
            for service in self.services:
                if service.is_wanted:
                    self.start(service)

    def kill(self, *, silently: bool = False) -> None:
        """Lose it with all of its processes; `silently`: so that nobody is told by its system."""
        with self.lock:
            if silently:
                self.cut()
            self.is_up = self.is_stopped = False
            self._end_all()
            for service in self.services:
                if service.process is not None:
                    self._wake(service.process)
                    service.process.wait()
                    service.process = None

    def stop(self) -> None:
        """Let every process of it stand still."""
        with self.lock:
            self.is_stopped = True
            # Twice, for what was being forked.
            for _ in range(2):
                self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let every process of it go on."""
        with self.lock:
            self._signal(signal.SIGCONT)
            for service in self.services:
                if service.process is not None:
                    self._wake(service.process)
            self.is_stopped = False

    def start(self, service: Service) -> None:
        """Start a service of it."""
        service.ended_at = None
        if service.stale:
            service.stale.unlink(missing_ok=True)
        with service.log_path.open("ab") as log:
            service.process = subprocess.Popen(  # noqa: S603 - the project's own commands.
                self._words(service.command, service.account, service.reach),
                cwd=self.directory,
                env=dict(service.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, service: Service, number: signal.Signals = signal.SIGTERM) -> None:
        """End a service for good; one that does not end in time is killed."""
        service.is_wanted = False
        process = service.process
        if process is None:
            return
        with contextlib.suppress(psutil.Error, IndexError):
            self._leader(process).send_signal(number)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            for each in self._tree(process):
                with contextlib.suppress(psutil.Error):
                    each.kill()
            process.wait()

    def once(
        self,
        *command: str,
        environment: Mapping[str, str],
        account: Account | None = None,
        reach: Sequence[Path] = (),
    ) -> str:
        """Run a command on it to its end; what it said. Raises `MachineError` where it fails."""
        done = subprocess.run(  # noqa: S603 - as above.
            self._words(command, account, reach),
            cwd=self.directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise MachineError(f"{self.name}: {Path(command[0]).name}: {' / '.join(said)}")
        return done.stdout

    def cut(self) -> None:
        """Cut its link; only where it has one."""

    def join(self) -> None:
        """Mend its link."""

    @contextlib.contextmanager
    def without_route_to(self, addresses: Sequence[str]) -> Iterator[None]:
        """Let it reach none of these, nor be answered by them; only where it has a network."""
        raise MachineError(f"{self.name} has no network of its own, nor a way to {addresses}")
        yield

    def _connect(self) -> None:
        """Make its network."""

    def _enter(self) -> list[str]:
        """What a command begins with to run on this machine."""
        return []

    def _parent(self) -> int:
        """Who a process of this machine sees as its parent."""
        return os.getpid()

    def _words(
        self, command: Sequence[str], account: Account | None, reach: Sequence[Path]
    ) -> list[str]:
        words = [*self._enter(), sys.executable, "-I", "-S", str(LAUNCHER)]
        words += ["--parent", str(self._parent())]
        if account:
            words += ["--user", f"{account.uid}:{account.gid}"]
            words += [f"--reach={path}" for path in (Path(command[0]), *reach)]
        return [*words, "--", *command]

    def _leader(self, process: subprocess.Popen[bytes]) -> psutil.Process:
        return psutil.Process(process.pid)

    @staticmethod
    def _wake(process: subprocess.Popen[bytes]) -> None:
        """Let go on what waits for the program, and stops itself where the program is stopped."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)

    def _tree(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error, IndexError):
            leader = self._leader(process)
            return [leader, *leader.children(recursive=True)]
        return []

    def _processes(self) -> list[psutil.Process]:
        """Every process that runs on it."""
        started = [service.process for service in self.services if service.process]
        return [each for process in started for each in self._tree(process)]

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def _end_all(self) -> None:
        self._signal(signal.SIGKILL)


class Supervisor:
    """Starts again, after a second, what has ended on a machine that is up, as systemd would."""

    RESTART_SECONDS = 1.0

    def __init__(self, machines: Sequence[Machine]) -> None:
        self._machines = machines
        self._ends = threading.Event()
        # To the kernel this thread is the parent of what it starts, so it lives as long as they.
        self._thread = threading.Thread(target=self._go_on, name="supervisor", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ends.wait(0.1):
            for machine in self._machines:
                with machine.lock:
                    if machine.is_up and not machine.is_stopped:
                        self._look_after(machine)

    def _look_after(self, machine: Machine) -> None:
        now = time.monotonic()
        for service in machine.services:
            if not service.is_wanted or service.is_running:
                continue
            if service.ended_at is None:
                service.ended_at = now
            elif now - service.ended_at >= self.RESTART_SECONDS:
                machine.start(service)
