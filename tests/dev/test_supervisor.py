"""The supervisor, with real processes that do nothing: what dies is restarted, all of it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 15.0

# A supervisor of one process that has a child of its own, as a worker has.
PROGRAM = """
import signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
from dev.console import Console
from dev.processes import spawn
from dev.supervisor import Supervisor

CHILD = '''
import os, subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("pids", os.getpid(), inner.pid, flush=True)
time.sleep(600)
'''

class Parent:
    title = "parent"
    death_signal = signal.SIGKILL
    stop_steps = ((signal.SIGTERM, 5.0),)
    process = None
    def launch(self):
        self.process = spawn([sys.executable, "-c", CHILD], output=subprocess.PIPE)
        console.follow("parent", self.process.stdout)
    def ready(self):
        return self.process.poll() is None

console = Console()
supervisor = Supervisor(console)
supervisor.start(Parent())
supervisor.run()
supervisor.stop()
console.close()
"""


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[str]]:
    """The program above, running."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(ROOT)], stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


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
