"""A process and all that it started: what CPU time and memory they take, and on which cores."""

import contextlib
import gc
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # It ships no types.

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Tree:
    """A process tree by its root; figures are of all of it, of the dead that were buried too."""

    name: str
    root: psutil.Process

    def processes(self) -> list[psutil.Process]:
        """The living, root first."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.root, *self.root.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """CPU time so far."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def resident(self) -> list[float]:
        """What each process holds in memory, in MB of a million bytes, root first.

        It counts what processes share in each of them, as container limits do not.
        """
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(process.memory_info().rss / MEGABYTE)
        return found

    def proportional(self) -> float:
        """What the tree adds to the machine's used memory, in MB; 0 where it cannot be told."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.Error, AttributeError):
                total += process.memory_full_info().pss / MEGABYTE
        return total

    def pin(self, cores: Iterable[int]) -> None:
        """Let every thread run on these cores only; what is started later inherits it."""
        chosen = set(cores)
        for process in self.processes():
            for thread in _threads(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread, chosen)


@dataclass(slots=True)
class CpuMeter:
    """CPU seconds between `start` and `stop`, by name; trees of one name are one."""

    trees: tuple[Tree, ...]
    _before: Mapping[str, float] | None = None

    def start(self) -> None:
        """Begin to count."""
        self._before = self._read()

    def stop(self) -> Mapping[str, float]:
        """What each tree took since the start, by its name."""
        assert self._before is not None
        return {name: seconds - self._before[name] for name, seconds in self._read().items()}

    def _read(self) -> Mapping[str, float]:
        used = dict.fromkeys((tree.name for tree in self.trees), 0.0)
        for tree in self.trees:
            used[tree.name] += tree.cpu_seconds()
        return used


def begin_child() -> None:
    """Call first in a process forked from the bench: what ends it, and what it does not own.

    The one who forked it decides when it ends. What it inherited is kept from its garbage
    collector, which would walk through all of the bench's events again and again.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.freeze()


def two_cores() -> tuple[set[int], set[int]] | None:
    """One core for what is measured and one for the rest; None where there are not two."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return ({cores[0]}, {cores[1]}) if len(cores) > 1 else None


def _threads(process_id: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(entry.name) for entry in Path(f"/proc/{process_id}/task").iterdir()]
    return []
