"""A process is said to have ended only when that is certain."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.liveness.consumer_id import is_gone, own_name

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ROOT = Path(__file__).resolve().parents[3]
OTHER = "import sys; sys.path.insert(0, sys.argv[1])\n"
OTHER += "from workers.liveness.consumer_id import own_name\n"
OTHER += "print(own_name(), flush=True)\nsys.stdin.read()"


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that waits for its end, and the name it gives itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def test_who_asks_is_not_gone() -> None:
    """Nobody takes over from themselves by mistake."""
    assert not is_gone(own_name())


def test_a_killed_process_is_gone_even_before_its_parent_takes_note(
    other: tuple[subprocess.Popen[str], str],
) -> None:
    """Its number is still taken, but it will never run again."""
    process, name = other
    assert not is_gone(name)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(name)
    process.wait()
    assert is_gone(name)


def test_another_process_with_the_number_of_the_first_does_not_stand_for_it() -> None:
    """Numbers come round again; the moment of the start does not."""
    words = own_name().split(":")
    assert is_gone(":".join([*words[:-1], str(int(words[-1]) - 1)]))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "host:4711",
        "a worker that died",
        "host:elsewhere:1:1",
        "host::1:1",
        "host:elsewhere.{place}:1:1",
        "host:{place}:1x:1",
    ],
)
def test_of_what_cannot_be_seen_from_here_nothing_is_said(name: str) -> None:
    """Another machine, another container, a name of before: their lease must run out."""
    place = own_name().split(":")[1]
    assert is_gone(f"host:{place}:1:1")
    assert not is_gone(name.format(place=place))
