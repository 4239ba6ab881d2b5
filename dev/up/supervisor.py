"""Keeps a set of processes running: starts them in order, restarts what dies, stops them all.

What shows its liveness is also restarted when that stops: a process that hangs is as good as dead.
It knows nothing of what they do. Nothing it started outlives it, however it ends.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from dev.up.console import Console
from dev.up.errors import EngineError
from dev.up.launch import prctl
from dev.up.processes import Steps, await_end, send, sweep

GUARD = Path(__file__).with_name("guard.py")
TICK_SECONDS = 0.1
READY_TIMEOUT_SECONDS = 60.0
RESTART_DELAY_SECONDS_MIN = 0.5
# Events wait meanwhile, so even a process that dies again and again comes back within seconds.
RESTART_DELAY_SECONDS_MAX = 3.0
# A process that ran this long was well; its next end is a new story.
WELL_SECONDS = 10.0
# Twice what a hiccup of a loaded machine or of Redis was seen to take; with the start that follows
# it is still under 30 s. It is counted in our own looks, so that nobody is silent while we sleep.
SILENT_LOOKS_MAX = 200
# One that cannot even start is given this many chances before its first readiness.
START_ATTEMPTS_MAX = 3
GUARD_PATIENCE_SECONDS = 2.0
PR_SET_CHILD_SUBREAPER = 36


class Supervised(Protocol):
    """What can be kept running."""

    process: subprocess.Popen[bytes] | None

    @property
    def title(self) -> str:
        """What a person calls it."""

    @property
    def death_signal(self) -> signal.Signals:
        """What ends it at once, without losing what it has acknowledged."""

    @property
    def stop_steps(self) -> Steps:
        """The signals that end it politely, each with the seconds it is given."""

    def launch(self) -> None:
        """Start it and return at once."""

    def ready(self) -> bool:
        """Whether it takes work; may raise `EngineError` if it has died."""


@runtime_checkable
class ShowsLiveness(Protocol):
    """What shows that it is alive."""

    def liveness(self) -> float | None:
        """A number that changes every few seconds while it lives; None where it shows none."""


@runtime_checkable
class Speaking(Protocol):
    """What can tell how it ended."""

    def last_words(self) -> Sequence[str]:
        """The last lines that it said."""


class StoppedEarlyError(Exception):
    """The person asked to stop before everything was ready."""


class NotReadyError(Exception):
    """Something did not become ready; the text is one line for a person."""


@dataclass(slots=True)
class Watch:
    """What is remembered of one process. Moments are seconds of the monotonic clock."""

    of: Supervised
    launched_at: float = 0.0
    restart_at: float | None = None
    failures: int = 0
    guarded: int | None = None  # The process that the guard knows of.
    liveness: float | None = None
    silent_looks: int = 0

    def hangs(self) -> bool:
        """Whether the process shows no liveness any more; to be asked at a steady interval."""
        liveness = self.of.liveness() if isinstance(self.of, ShowsLiveness) else None
        is_silent = liveness is not None and liveness == self.liveness
        self.liveness = liveness
        self.silent_looks = self.silent_looks + 1 if is_silent else 0
        return self.silent_looks > SILENT_LOOKS_MAX


class Supervisor:
    """Runs in the main thread, which the kernel takes for the parent of what it starts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._groups: list[list[Watch]] = []
        self._asked_to_stop = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        if sys.platform.startswith("linux"):
            with contextlib.suppress(OSError):
                prctl(PR_SET_CHILD_SUBREAPER, 1)  # What a dead server leaves comes to us.
        self._guard = subprocess.Popen(  # noqa: S603 - our own script.
            [sys.executable, "-I", "-S", str(GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def was_asked(self) -> bool:
        """Whether a person asked to stop."""
        return self._asked_to_stop

    def start(self, *group: Supervised) -> None:
        """Start a group at once and wait until each is ready, restarting what dies meanwhile.

        Raises `NotReadyError`, `EngineError`, or `StoppedEarlyError`.
        """
        watches = [Watch(of) for of in group]
        self._groups.append(watches)
        for watch in watches:
            self._launch(watch)
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        waiting = watches
        while waiting := [watch for watch in waiting if not watch.of.ready()]:
            self._tick()
            if self._asked_to_stop:
                raise StoppedEarlyError
            for watch in waiting:
                if watch.failures >= START_ATTEMPTS_MAX or time.monotonic() > deadline:
                    self._tell_last_words(watch)
                    raise NotReadyError(
                        f"{watch.of.title} did not become ready; its words are above"
                    )

    def run(self) -> None:
        """Restart what dies, until asked to stop."""
        while not self._asked_to_stop:
            self._tick()

    def stop(self) -> None:
        """End everything, the group that was started last first; then the guard."""
        self._asked_to_stop = True
        for group in reversed(self._groups):
            for watch in group:  # All at once, then each is waited for.
                if watch.of.process is not None:
                    send(watch.of.process, watch.of.stop_steps[0][0])
            for watch in group:
                if watch.of.process is not None:
                    await_end(watch.of.process, watch.of.stop_steps)
                self._tell_guard(watch)
        self._reap()
        if self._guard.stdin:
            with contextlib.suppress(OSError):
                self._guard.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guard.wait(GUARD_PATIENCE_SECONDS)

    def _ask_to_stop(self, number: int, frame: object) -> None:
        del number, frame
        if not self._asked_to_stop:
            self._asked_to_stop = True
            self._console.end_status()
            self._console.print("stopping ...")
            return
        for watch in self._watches():  # Asked twice: at once, then.
            if watch.of.process is not None:
                send(watch.of.process, watch.of.death_signal)

    def _watches(self) -> list[Watch]:
        return [watch for group in self._groups for watch in group]

    def _tick(self) -> None:
        time.sleep(TICK_SECONDS)
        for watch in self._watches():
            self._look_at(watch)
        self._reap()

    def _look_at(self, watch: Watch) -> None:
        if self._asked_to_stop:
            return
        now = time.monotonic()
        process = watch.of.process
        if watch.restart_at is None and process is not None and process.poll() is not None:
            sweep(process)
            self._tell_guard(watch)
            self._tell_last_words(watch)
            self._plan_restart(watch, f"ended ({_ending(process.returncode)})")
        elif watch.restart_at is None and process is not None and watch.hangs():
            seconds = SILENT_LOOKS_MAX * TICK_SECONDS
            self._console.say(
                "up", f"{watch.of.title} has shown no sign of life for {seconds:.0f} s; ending it"
            )
            watch.silent_looks = 0
            sweep(process)  # The whole group; the next look finds it dead.
        elif watch.restart_at is not None and now >= watch.restart_at:
            try:
                self._launch(watch)
            except EngineError as error:
                self._plan_restart(watch, f"cannot start: {error}")

    def _tell_last_words(self, watch: Watch) -> None:
        if isinstance(watch.of, Speaking):
            self._console.last_words(watch.of.title, watch.of.last_words())

    def _plan_restart(self, watch: Watch, why: str) -> None:
        now = time.monotonic()
        if now - watch.launched_at > WELL_SECONDS:
            watch.failures = 0
        delay = min(RESTART_DELAY_SECONDS_MIN * 2**watch.failures, RESTART_DELAY_SECONDS_MAX)
        watch.failures += 1
        watch.restart_at = now + delay
        self._console.say("up", f"{watch.of.title} {why}; starting it again in {delay:.1f} s")

    def _launch(self, watch: Watch) -> None:
        watch.launched_at = time.monotonic()
        watch.silent_looks = 0
        watch.of.launch()
        watch.restart_at = None
        self._tell_guard(watch)

    def _tell_guard(self, watch: Watch) -> None:
        """Name the group that exists now, and take back the one that does not."""
        process = watch.of.process
        alive = process.pid if process and process.poll() is None else None
        lines = []
        if watch.guarded is not None and watch.guarded != alive:
            lines.append(f"-{watch.guarded}\n")
        if alive is not None and alive != watch.guarded:
            lines.append(f"+{alive} {int(watch.of.death_signal)}\n")
        watch.guarded = alive
        if lines and self._guard.stdin:
            with contextlib.suppress(OSError):  # Someone killed the guard: then without it.
                self._guard.stdin.write("".join(lines).encode())
                self._guard.stdin.flush()

    def _reap(self) -> None:
        """Bury the orphans of processes that died; where we are process 1 nobody else would."""
        if not sys.platform.startswith("linux"):
            return
        own = {watch.of.process.pid for watch in self._watches() if watch.of.process}
        own.add(self._guard.pid)
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in own:
                    return  # Its own turn comes with the next look.
                os.waitpid(ended.si_pid, os.WNOHANG)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
