"""Outlive a supervisor that was killed, and end what it left behind.

Run as a script by `dev.up.supervisor`, with the standard library only. It is told on standard input
which process groups exist (`+GROUP SIGNAL`) and which are gone (`-GROUP`); when that input ends,
the supervisor is dead, and every group that is left gets its signal, then SIGKILL.

The kernel's parent-death signal reaches a server but not the children of its own; this does both,
and works where the kernel has no such signal.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

PATIENCE_SECONDS = 6.0
POLL_SECONDS = 0.05
# The signals that are meant for the supervisor may reach the whole of its terminal.
DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main() -> None:
    """Do what the module says."""
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, int] = {}
    for line in sys.stdin:
        words = line.split()
        if line.startswith("+"):
            groups[int(words[0][1:])] = int(words[1])
        else:
            groups.pop(int(words[0][1:]), None)
    end(groups)


def end(groups: dict[int, int]) -> None:
    """End every group: by its own signal, and after a while by force."""
    for group, number in groups.items():
        signal_group(group, number)
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = set(groups)
    while left and time.monotonic() < deadline:
        left = {group for group in left if signal_group(group, 0) and not buried_soon(group)}
        time.sleep(POLL_SECONDS)
    for group in left:
        signal_group(group, signal.SIGKILL)


def buried_soon(process: int) -> bool:
    """Whether a process has ended and only waits for its new parent to take note (Linux)."""
    with contextlib.suppress(OSError, IndexError):
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[0] == "Z"
    return False


def signal_group(group: int, number: int) -> bool:
    """Whether the group existed to get the signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    main()
