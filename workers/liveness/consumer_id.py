"""Names a process so that others on its machine can tell for certain when it has ended.

A name holds what the system never gives twice: the boot, the process namespace, the user, the
process id and the moment of the start. A process that cannot be seen from here is never said to
have ended.
"""

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_BOOT = _PROC / "sys/kernel/random/boot_id"
_PROCESSES = _PROC / "self/ns/pid"
# The fields of `stat` after the name of the program: state, …, the start in ticks since the boot.
_STATE, _START = 0, 19
_ENDED = ("Z", "X")


def own_name() -> str:
    """The name of this process: its host for people, the rest for `is_gone`."""
    pid = os.getpid()
    with suppress(OSError):
        if started := _started(pid):
            return f"{socket.gethostname()}:{_place()}:{pid}:{started}"
    return f"{socket.gethostname()}:{pid}"


def is_gone(name: str) -> bool:
    """Whether the process of this name has certainly ended; False where it cannot be known."""
    _, place, pid, started = ["", "", "", *name.rsplit(":", 3)][-4:]
    if not place or place != _place() or not pid.isdecimal():
        return False
    with suppress(OSError):
        return _started(int(pid)) != started
    return False  # It cannot be looked at, so it may be there.


@cache
def _place() -> str:
    """The space in which a process id means one process; empty where the system does not tell.

    The user is part of it, because some systems hide the processes of other users.
    """
    with suppress(OSError):
        boot = _BOOT.read_text(encoding="ascii").strip().replace("-", "")
        return f"{boot}.{_PROCESSES.stat().st_ino}.{os.getuid()}"
    return ""


def _started(pid: int) -> str | None:
    """When a process started, as the system writes it; None when there is none that runs."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in _ENDED else fields[_START]
