"""`manage.py up`, the real thing: ready, refused a second time, gone without a trace, back."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from dotenv import dotenv_values

from dev.up.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
MANAGE = (sys.executable, str(ROOT / "manage.py"))
OURS = ("DATABASE_URL", "REDIS_URL", "PORT", "HOST", "BILLING_DATA", "LOG_FORMAT")


def environment() -> Mapping[str, str]:
    """An environment that names no server."""
    return {name: value for name, value in os.environ.items() if name not in OURS}


@contextmanager
def running(directory: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`up`, from ready until it is asked to stop."""
    process = subprocess.Popen(
        [*MANAGE, "up", "--data", str(directory), "--port", str(port)],
        cwd=directory.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("Ready"):
                    break
            else:
                pytest.fail("".join(said))
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def processes_naming(directory: Path) -> list[str]:
    """The command lines of what runs on a data directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in words:
            found.append(words.decode(errors="replace"))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_up_runs_refuses_a_second_and_leaves_nothing(tmp_path: Path) -> None:
    """One run through the life of a development machine."""
    directory, port = tmp_path / "a data", free_port()
    with running(directory, port) as process:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 200
        kept = dotenv_values(directory / "dev.env")
        second = subprocess.run(
            [*MANAGE, "up", "--data", str(directory), "--port", str(free_port())],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"process {process.pid}" in second.stderr
        assert len(second.stderr.splitlines()) == 1
    assert process.returncode == 0
    assert processes_naming(directory) == []
    with running(directory, port):
        assert dotenv_values(directory / "dev.env") == kept


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    """Nothing is started where the receiver could not be."""
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0"],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as server:
        assert server.stdout
        port = server.stdout.readline().split(" port ")[1].split()[0]
        result = subprocess.run(
            [*MANAGE, "up", "--data", str(tmp_path / "d"), "--port", port],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        server.kill()
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: port {port} of 127.0.0.1 is taken")
    assert not (tmp_path / "d" / "postgres").exists()
