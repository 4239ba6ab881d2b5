"""The file that tells a supervisor that a process lives."""

import os
import threading
import time
from pathlib import Path

import pytest
from celery.signals import after_task_publish

from workers.commands import processes
from workers.liveness import liveness_file


def is_touched(path: Path) -> bool:
    """Whether a file of long ago is touched within a moment."""
    path.touch()
    os.utime(path, (1, 1))
    deadline = time.monotonic() + 5
    while path.stat().st_mtime == 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.stat().st_mtime != 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is touched so often that no test waits for it."""
    monkeypatch.setattr(liveness_file, "INTERVAL_SECONDS", 0.02)


def ended(name: str) -> bool:
    """Whether the threads of this name end within a moment."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(5)
    return all(thread.name != name for thread in threading.enumerate())


def test_the_file_is_touched_until_the_thread_is_told_to_end(tmp_path: Path) -> None:
    """Again and again, and not for ever."""
    path = tmp_path / "worker.alive"
    end = threading.Event()
    liveness_file.touch_regularly(path, until=end.is_set)
    assert is_touched(path)
    assert is_touched(path)
    end.set()
    assert ended("liveness-file")


def test_a_file_that_cannot_be_touched_ends_nothing(tmp_path: Path) -> None:
    """A full disk is bad enough."""
    liveness_file.touch(tmp_path / "missing" / "worker.alive")


def test_the_scheduler_is_alive_as_long_as_it_sends(tmp_path: Path) -> None:
    """Once it may act, running is not enough: a scheduler that sends nothing is no use."""
    path = tmp_path / "beat.alive"
    before = after_task_publish.receivers[:]
    try:
        processes.show_liveness_of_scheduler(path)
        assert is_touched(path)  # It may wait for its lock.
        after_task_publish.send(sender="workers.tasks.sweep")
        assert ended("liveness-file")
        os.utime(path, (1, 1))
        time.sleep(0.1)
        assert path.stat().st_mtime == 1
        after_task_publish.send(sender="workers.tasks.sweep")
        assert path.stat().st_mtime != 1
    finally:
        after_task_publish.receivers[:] = before
