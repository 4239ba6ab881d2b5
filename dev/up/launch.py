"""Become the right user, arrange to die with the parent, then become the given program.

Run as a script by `dev.up.processes.spawn`, with the standard library only, so that nothing of this
has to happen between fork and exec of a large process. It never starts a second process: the
program it executes keeps its process id.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

REFUSED = 126  # The exit status of a shell that found a program but could not run it.

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
# Reading and searching is all an engine needs on the way to its own directory, and it is the
# lesser right; containers commonly leave root only the greater.
CAP_DAC_READ_SEARCH = 2
CAP_DAC_OVERRIDE = 1
CAP_SETPCAP = 8


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def arguments() -> argparse.Namespace:
    """Read the command line that `dev.up.processes.spawn` composes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True, help="process id of the spawner")
    parser.add_argument("--death-signal", type=int, default=int(signal.SIGKILL))
    parser.add_argument("--user", help="uid:gid to become")
    parser.add_argument("--reach", action="append", default=[], help="a path the user must reach")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def become(uid: int, gid: int, reach: list[str]) -> None:
    """Become an unprivileged user who can still reach every path in `reach`.

    A checkout under a private home is closed to that user. Rather than opening the home, one
    capability is kept that lets this process, and nobody else, walk through it.
    Raises `OSError` when the user cannot be taken on or a path stays out of reach.
    """
    linux = sys.platform.startswith("linux")
    if linux:
        prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if linux and not all(map(_reachable, reach)):
        _keep_walking_right()
    for path in reach:
        if not _reachable(path):
            raise PermissionError(f"user id {uid} may not reach {path}")


def die_with_parent(death_signal: int, parent: int) -> None:
    """Ask the kernel for `death_signal` when the parent dies; Linux only, elsewhere nothing.

    It comes after `become`, because a change of user clears the request.
    """
    if not sys.platform.startswith("linux"):
        return
    prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:  # It died before the request was made.
        raise SystemExit(REFUSED)


def _reachable(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:
        return False


def prctl(option: int, *values: int) -> None:
    """Ask Linux for an option of this process; raises `OSError` where it refuses."""
    library = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if library.prctl(ctypes.c_int(option), *padded) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def _keep_walking_right() -> None:
    """Hold one file-access capability through exec, as ambient, and drop every other."""
    library = ctypes.CDLL(None, use_errno=True)
    permitted = _permitted(library)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if not permitted & 1 << capability:
            continue
        with contextlib.suppress(OSError):
            # Else access(2), by which PostgreSQL looks for its parts, disregards capabilities.
            _set_capability(library, permitted & 1 << CAP_SETPCAP, permitted)
            prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
        _set_capability(library, 1 << capability, 1 << capability)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
        return


def _permitted(library: ctypes.CDLL) -> int:
    """The low 32 capabilities this process may take up."""
    halves = (_Half * 2)()
    header = _Header(CAPABILITY_VERSION_3, 0)
    is_known = library.capget(ctypes.byref(header), halves) == 0
    return int(halves[0].permitted) if is_known else 0


def _set_capability(library: ctypes.CDLL, effective: int, permitted: int) -> None:
    """Hold exactly these capabilities; what is in effect may also be inherited."""
    halves = (_Half * 2)(_Half(effective, permitted, effective), _Half(0, 0, 0))
    header = _Header(CAPABILITY_VERSION_3, 0)
    if library.capset(ctypes.byref(header), halves) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def main() -> None:
    """Do what the module says; on failure one line on standard error and status 126."""
    chosen = arguments()
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    try:
        if chosen.user:
            uid, gid = map(int, chosen.user.split(":"))
            become(uid, gid, chosen.reach)
        die_with_parent(chosen.death_signal, chosen.parent)
        # The command comes from the supervisor, never from outside.
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"FATAL: cannot start {command[0]}: {error}", file=sys.stderr)  # noqa: T201 - a script's own output.
        raise SystemExit(REFUSED) from error


if __name__ == "__main__":
    main()
