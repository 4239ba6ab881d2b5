"""What `up` shows: on a terminal one live line below what stays, in a pipe every line."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

import pytest

from dev.up.counts import Counts, read
from dev.up.logs import LogFile, said
from dev.up.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
OURS = ("DATABASE_URL", "REDIS_URL", "PORT", "HOST", "BILLING_DATA", "LOG_FORMAT", "COLUMNS")
PATIENCE_SECONDS = 60.0
COLUMNS, ROWS = 60, 24
ESCAPE = re.compile(r"\x1b\[\??([\d;]*)([A-Za-z])")

# Makes the terminal that it was given the one that Ctrl-C reaches it through.
TAKE_IT = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

# One process says something common, then something that warns, below it a live line; then it dies.
PROGRAM = """
import subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from dev.up.console import Console
from dev.up.counts import Counts
from dev.up.environment import Addresses
from dev.up.status import Status

SAYS = '''
print("2026-11-27T11:49:23.4Z [info     ] request answered   path=/x")
print("2026-11-27T11:49:24.4Z [warning  ] Redis is slow      origin=intake")
print("Killed by the moon")
'''
console = Console(Path(sys.argv[2]), live=True)
addresses = Addresses("", "", "127.0.0.1", 8000, "http://127.0.0.1:8001")
console.print("The banner")
console.status(Status(addresses, Counts(accepted=1)))
child = subprocess.Popen([sys.executable, "-c", SAYS], stdout=subprocess.PIPE)
voice = console.follow("worker", child.stdout)
child.wait()
console.last_words("worker", voice.last())
console.status(Status(addresses, Counts(accepted=1234, applied=1200, ignored=31, waiting=3)))
sys.stdin.readline()
console.status(Status(addresses, None))
sys.stdin.readline()
console.end_status()
console.print("stopping ...")
console.close()
"""


class Recorder:
    """A terminal of few columns that a process runs on, and what it shows."""

    def __init__(self, command: Sequence[str], cwd: Path) -> None:
        self.descriptor, inner = pty.openpty()
        ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_IT, *command],
            cwd=cwd,
            env={name: value for name, value in os.environ.items() if name not in OURS},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.raw = b""

    def wait_for(self, condition: Callable[[list[str]], bool]) -> list[str]:
        """The rows, once they are as they should be."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition(self.rows()):
            assert time.monotonic() < deadline, "\n".join(self.rows())
            self.listen()
        return self.rows()

    def listen(self) -> bool:
        """Take what is written soon; whether more may come."""
        if not select.select([self.descriptor], [], [], 0.2)[0]:
            return True
        try:
            more = os.read(self.descriptor, 65_536)
        except OSError:  # Linux says so when the last writer has gone.
            return False
        self.raw += more
        return bool(more)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.descriptor, keys)

    def rows(self) -> list[str]:
        """Everything on the screen and above it; wrapped lines stay in one."""
        return rows_of(self.raw.decode(errors="replace"))


def rows_of(text: str) -> list[str]:
    """What these bytes leave on a terminal that knows the moves that we make."""
    rows, row, column, at = [""], 0, 0, 0
    while at < len(text):
        if found := ESCAPE.match(text, at):
            at = found.end()
            if found[2] == "A":
                row -= int(found[1] or 1)
            elif found[2] == "K":
                rows[row] = ""
            continue
        if text[at] == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif text[at] == "\r":
            column = 0
        else:
            rows[row] = rows[row][:column].ljust(column) + text[at] + rows[row][column + 1 :]
            column += 1
        at += 1
    return rows


@contextmanager
def on_a_terminal(command: Sequence[str], cwd: Path) -> Iterator[Recorder]:
    """A command on a terminal of its own."""
    recorder = Recorder(command, cwd)
    try:
        yield recorder
    finally:
        recorder.process.send_signal(signal.SIGTERM)
        while recorder.listen():
            if recorder.process.poll() is not None:
                break
        recorder.process.wait(PATIENCE_SECONDS)
        os.close(recorder.descriptor)


def up(directory: Path, *more: str) -> list[str]:
    """The command line of `up` on a port of its own."""
    manage = [sys.executable, str(ROOT / "manage.py"), "up", "--data", str(directory)]
    return [*manage, "--port", str(free_port()), *more]


def test_a_warning_stands_above_the_live_line(tmp_path: Path) -> None:
    """What is common is in the log alone; what a process said before it died is shown."""
    command = [sys.executable, "-c", PROGRAM, str(ROOT), str(tmp_path)]
    with on_a_terminal(command, tmp_path) as terminal:
        rows = terminal.wait_for(lambda rows: rows[-1].startswith("accepted 1,234"))
        assert rows[0] == "The banner"
        assert rows[1] == "worker     | 11:49:24 warning: Redis is slow  origin=intake"
        assert rows[2] == "worker     | 11:49:23 info: request answered  path=/x"
        assert rows[4] == "worker     | Killed by the moon"
        assert [row for row in rows if row.startswith("accepted")] == [rows[-1]]
        assert rows[-1] == "accepted 1,234  applied 1,200  waiting 3  failed 0  :8000"
        assert len(rows[-1]) < COLUMNS
        terminal.press(b"\n")
        terminal.wait_for(lambda rows: rows[-1].startswith("the receiver does not answer"))
        terminal.press(b"\n")
        rows = terminal.wait_for(lambda rows: rows[-1] == "" and "stopping ..." in rows)
    assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")
    assert "request answered" in (tmp_path / "worker.log").read_text(encoding="utf-8")


def test_no_colours_where_they_are_not_welcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`NO_COLOR` takes the colours, and nothing else."""
    command = [sys.executable, "-c", PROGRAM, str(ROOT), str(tmp_path)]
    for no_color, expected in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", no_color)
        with on_a_terminal(command, tmp_path) as terminal:
            terminal.wait_for(lambda rows: rows[-1].startswith("accepted 1,234"))
            coloured = re.search(rb"\x1b\[[\d;]*3[0-7]m", terminal.raw) is not None
            assert coloured is expected
            terminal.press(b"\n\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_up_keeps_its_banner_and_one_live_line(tmp_path: Path) -> None:
    """At 60 columns, through the death of a worker, until Ctrl-C."""
    data = tmp_path / "data"
    with on_a_terminal(up(data), tmp_path) as terminal:
        # Of the sample catalogue: 24 products and prices, and what the portal offers.
        rows = terminal.wait_for(lambda rows: rows[-1].startswith("accepted 25 "))
        assert any(row.startswith("Ready in") for row in rows)
        assert not any("request answered" in row for row in rows)
        os.kill(worker_of(data), signal.SIGKILL)
        rows = terminal.wait_for(
            lambda rows: (
                rows[-1].startswith("accepted 25 ")
                and any("worker ended (SIGKILL)" in row for row in rows)
            )
        )
        died = next(at for at, row in enumerate(rows) if "worker ended" in row)
        assert rows[died - 1].startswith("worker     |")
        terminal.press(b"\x03")  # Ctrl-C.
        while terminal.listen():
            pass
        assert terminal.process.wait(PATIENCE_SECONDS) == 0
    rows = terminal.rows()
    assert any(row.startswith("Ready in") for row in rows)
    assert rows[-1] == ""
    assert rows[-3].endswith("stopping ...")
    assert rows[-2] == "everything is stopped"
    assert not any(row.startswith("accepted") for row in rows)
    assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")
    kept = {path.name for path in (data / "logs").iterdir()}
    assert {"postgres.log", "valkey.log", "receiver.log", "worker.log", "stripe.log"} <= kept
    assert "starting in" in (data / "logs" / "up.log").read_text(encoding="utf-8")
    assert "request answered" in (data / "logs" / "receiver.log").read_text(encoding="utf-8")


def test_logs_are_shown_when_asked_for(tmp_path: Path) -> None:
    """`--logs` prints lines and no live one; not those of the sample catalogue, which are many."""
    with on_a_terminal(up(tmp_path / "data", "--logs"), tmp_path) as terminal:
        rows = terminal.wait_for(lambda rows: any(row.startswith("Ready in") for row in rows))
        assert any("[info     ] serving" in row for row in rows)
        before = rows[: next(at for at, row in enumerate(rows) if row.startswith("Ready in"))]
        assert sum("request answered" in row for row in before) < 6
        assert not any(row.startswith("accepted") for row in rows)


def test_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    """Every line of every process, none redrawn; nothing of granian's about its threads."""
    process = subprocess.Popen(
        up(tmp_path / "data"),
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name not in OURS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C stops everything"):
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    told = "".join(lines)
    assert "receiver   | " in told
    assert "request answered" in told
    assert "Starting granian" in told
    assert "threads" not in told
    assert "\x1b" not in told
    assert "\r" not in told


def worker_of(directory: Path) -> int:
    """The process id of the worker that runs on a data directory."""
    wanted = f"worker\0--liveness-file\0{directory / 'worker.alive'}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if wanted in words:
            return int(path.name)
    pytest.fail("no worker runs")


def test_a_log_never_grows_beyond_its_limit(tmp_path: Path) -> None:
    """What is full is put aside; the newest lines are in the file of the name."""
    log = LogFile(tmp_path, "worker 2", bytes_max=100)
    for number in range(50):
        log.write(f"line {number}\n".encode())
    log.close()
    assert {path.name for path in tmp_path.iterdir()} == {"worker-2.log", "worker-2.log.1"}
    assert all(path.stat().st_size < 120 for path in tmp_path.iterdir())
    assert log.path.read_text(encoding="utf-8").endswith("line 49\n")
    again = LogFile(tmp_path, "worker 2", bytes_max=100)
    again.write(b"another run\n")
    again.close()
    assert "line 49\nanother run\n" in log.path.read_text(encoding="utf-8")


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """A directory that is none, as a disk that is full."""
    (tmp_path / "logs").write_text("not a directory", encoding="utf-8")
    LogFile(tmp_path / "logs", "worker").write(b"a line\n")


@pytest.mark.parametrize(
    ("line", "warns", "text"),
    [
        (
            "2026-11-27T11:49:23.4Z [error    ] it broke   a=1",
            True,
            "11:49:23 error: it broke  a=1",
        ),
        ("2026-11-27T11:49:23.4Z [info     ] it went", False, "11:49:23 info: it went"),
        (
            '{"event":"it broke","level":"critical","at":"2026-11-27T11:49:23.4Z","exception":"…"}',
            True,
            "11:49:23 critical: it broke",
        ),
        ('{"event": ', False, '{"event": '),
        ("Traceback (most recent call last):", False, "Traceback (most recent call last):"),
    ],
)
def test_both_forms_of_lines_are_understood(line: str, warns: bool, text: str) -> None:  # noqa: FBT001 - a column of the table above.
    """And what has no known form is left as it is."""
    assert said(line).warns is warns
    assert said(line).text == text


def test_the_numbers_are_read_from_the_metrics() -> None:
    """Summed over types and stores; what failed waits for another try or for a person."""
    answer = """
# TYPE billing_events_received_total counter
billing_events_received_total{intake="stream",type="invoice.paid"} 7.0
billing_events_received_total{intake="inbox",type="invoice.paid"} 1.0
billing_events_finished_total{status="applied",type="invoice.paid"} 4.0
billing_events_finished_total{status="ignored",type="product.created"} 2.0
billing_events_finished_total{status="failed",type="invoice.paid"} 9.0
billing_event_duplicates_total 3.0
billing_events_unapplied{status="received"} 5.0
billing_events_unapplied{status="failed"} 1.0
billing_events_unapplied{status="dead"} 2.0
billing_queue_depth{queue="stream"} 6.0
billing_queue_depth{queue="inbox"} 8.0
"""
    assert read(answer) == Counts(
        accepted=8, applied=4, ignored=2, duplicates=3, waiting=11, failed=1, dead=2
    )
    assert read("") == Counts()
