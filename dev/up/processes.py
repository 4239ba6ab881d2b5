"""Start and end the processes of a development machine.

Each one leads its own process group, dies with its starter (on Linux), and, where root starts it,
may run as an unprivileged user. Nothing here knows what a process is for.
"""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LAUNCHER = Path(__file__).with_name("launch.py")
# Any of these is harmless; the first that exists is taken.
UNPRIVILEGED_NAMES = ("nobody", "daemon", "postgres", "www-data")
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine, by number, with the name for messages."""

    name: str
    uid: int
    gid: int


def account_for(directory: Path) -> Account | None:
    """Whom a server that owns `directory` should run as; None means: as we are.

    Only root changes user: to the owner of a directory that exists already, else to the first
    unprivileged account of the machine. Raises `LookupError` where there is none.
    """
    if os.geteuid() != 0:
        return None
    owner = directory.stat().st_uid if directory.exists() else 0
    with contextlib.suppress(KeyError):
        if owner:
            return _account(pwd.getpwuid(owner))
    for name in UNPRIVILEGED_NAMES:
        with contextlib.suppress(KeyError):
            return _account(pwd.getpwnam(name))
    raise LookupError(f"none of the users {', '.join(UNPRIVILEGED_NAMES)} exists")


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def spawn(
    command: Sequence[str],
    *,
    output: int | IO[bytes],
    account: Account | None = None,
    reach: Iterable[Path] = (),
    death_signal: signal.Signals = signal.SIGKILL,
    keep: Iterable[int] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` (its first word an absolute path) in a process group of its own.

    `output` takes what it prints; `reach` names paths that `account` must be able to reach;
    `keep` lists descriptors it inherits; `death_signal` is what it gets if this process dies.
    Call it from the main thread: to the kernel the parent is the thread that forked.
    """
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
    launcher += ["--parent", str(os.getpid()), "--death-signal", str(int(death_signal))]
    if account is not None:
        launcher += ["--user", f"{account.uid}:{account.gid}"]
        launcher += [f"--reach={path}" for path in reach]
    return subprocess.Popen(  # noqa: S603 - the command is the project's own.
        [*launcher, "--", *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(keep),
        env=None if environment is None else dict(environment),
        start_new_session=True,
    )


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def sweep(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the group that `process` led, once it has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


Steps = Sequence[tuple[signal.Signals, float]]


def end(process: subprocess.Popen[bytes], steps: Steps) -> None:
    """End a process: each step is a signal and the seconds it is given; then SIGKILL."""
    send(process, steps[0][0])
    await_end(process, steps)


def await_end(process: subprocess.Popen[bytes], steps: Steps) -> None:
    """The rest of `end`, for a process that has been sent the first signal already.

    It is not sent twice: to some programs the second means that they must not finish their work.
    """
    for place, (number, patience_seconds) in enumerate(steps):
        if place:
            send(process, number)
        if ended_within(process, patience_seconds):
            break
    else:
        send(process, signal.SIGKILL)
        process.wait()
    sweep(process)


def ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process ends before `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
