"""The supervisor, with real processes that do nothing: what dies is restarted, all of it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dev.up import supervisor as watching
from dev.up.application import Background
from dev.up.console import Console

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 15.0

# A supervisor of one process that has a child of its own, as a worker has.
PROGRAM = """
import signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
from dev.up import supervisor as watching
from dev.up.console import Console
from dev.up.processes import spawn
from dev.up.supervisor import Supervisor

CHILD = '''
import os, subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("pids", os.getpid(), inner.pid, flush=True)
time.sleep(600)
'''

class Parent:
    title = "parent"
    death_signal = signal.SIGKILL
    looks = 0
    def liveness(self):
        if not sys.argv[2:]:
            return None  # It shows none.
        stopped = open(f"/proc/{self.process.pid}/stat").read().rpartition(")")[2].split()[0] == "T"
        self.looks += not stopped
        return self.looks
    stop_steps = ((signal.SIGTERM, 5.0),)
    process = None
    def launch(self):
        self.process = spawn([sys.executable, "-c", CHILD], output=subprocess.PIPE)
        console.follow("parent", self.process.stdout)
    def ready(self):
        return self.process.poll() is None

if sys.argv[2:]:
    watching.SILENT_LOOKS_MAX = int(sys.argv[2])
console = Console()
supervisor = Supervisor(console)
supervisor.start(Parent())
supervisor.run()
supervisor.stop()
console.close()
"""


@contextmanager
def running_supervisor(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program above, running; with an argument, its process shows its liveness."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(ROOT), *arguments], stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[str]]:
    """The program above, running."""
    with running_supervisor() as process:
        yield process


def pids_printed(process: subprocess.Popen[str]) -> list[int]:
    """The next two process ids that the supervised process tells of itself and its child."""
    assert process.stdout
    line = next(line for line in process.stdout if "pids" in line)
    return [int(word) for word in line.split()[-2:]]


def running(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def soon(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true before patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def children_of(pid: int) -> list[int]:
    """The processes that `pid` started and that are still there."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]


def test_what_dies_is_restarted_and_what_it_left_is_swept(
    supervisor: subprocess.Popen[str],
) -> None:
    """A killed process comes back, and the orphan it left does not stand in its way."""
    main, child = pids_printed(supervisor)
    os.kill(main, signal.SIGKILL)
    again = pids_printed(supervisor)
    assert again != [main, child]
    assert not running(child)
    assert all(map(running, again))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_ends_everything(
    supervisor: subprocess.Popen[str], number: signal.Signals
) -> None:
    """Ctrl-C, a service manager and a closed terminal all leave nothing behind."""
    left = [*pids_printed(supervisor), *children_of(supervisor.pid)]
    supervisor.send_signal(number)
    assert supervisor.wait(PATIENCE_SECONDS) == 0
    assert not any(map(running, left))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_outlives_a_supervisor_that_is_killed(supervisor: subprocess.Popen[str]) -> None:
    """Neither its processes, nor theirs, nor its own guard."""
    left = [*pids_printed(supervisor), *children_of(supervisor.pid)]
    supervisor.kill()
    assert soon(lambda: not any(map(running, left)))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_hangs_is_ended_and_started_again() -> None:
    """A process that is stopped for good, and its child with it, is as good as dead."""
    with running_supervisor("5") as supervisor:
        main, child = pids_printed(supervisor)
        time.sleep(1.0)  # Twice the silence that is borne: one that lives is left alone.
        assert running(main)
        os.kill(main, signal.SIGSTOP)
        again = pids_printed(supervisor)
        assert not running(main)
        assert not running(child)
        assert all(map(running, again))
        supervisor.terminate()
        assert supervisor.wait(PATIENCE_SECONDS) == 0


class Still:
    """A process that runs, and whose liveness is as the test says."""

    title = "still"
    death_signal = signal.SIGKILL
    stop_steps = ((signal.SIGTERM, 1.0),)

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.shown: float | None = None

    def launch(self) -> None:
        """Nothing is started."""

    def ready(self) -> bool:
        """Always."""
        return True

    def liveness(self) -> float | None:
        """What the test says."""
        return self.shown


def test_only_an_unbroken_silence_counts() -> None:
    """One sign of life begins the count again; what shows none at all is not judged."""
    still = Still()
    watch = watching.Watch(still)
    assert not any(watch.hangs() for _ in range(2 * watching.SILENT_LOOKS_MAX))
    for still.shown in (1.0, 2.0):
        assert not any(watch.hangs() for _ in range(watching.SILENT_LOOKS_MAX + 1))
    assert watch.hangs()


def test_a_process_in_the_background_is_told_its_liveness_file(tmp_path: Path) -> None:
    """From its start on: one that never shows any is found out as well."""
    script = "import pathlib, sys, time; pathlib.Path(sys.argv[-1]).touch(); time.sleep(60)"
    with closing(Console()) as console:
        process = Background("worker 2", ["worker"], {}, console, tmp_path)
        assert process.liveness() is None
        assert process.command[-3:] == [
            "worker",
            "--liveness-file",
            str(tmp_path / "worker-2.alive"),
        ]
        process.command[1:3] = ["-c", script]
        process.launch()
        try:
            first = process.liveness()
            assert first is not None
            assert soon(lambda: process.liveness() != first)
        finally:
            assert process.process
            process.process.kill()
            process.process.wait()
