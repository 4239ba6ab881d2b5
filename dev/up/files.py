"""Files of an engine's directory: locks, and what only the owner may read."""

import fcntl
import os
import time
from pathlib import Path

_POLL_SECONDS = 0.05
PRIVATE = 0o600


def lock_within(descriptor: int, seconds: float) -> bool:
    """Whether the exclusive lock of an open file could be had before `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner may read, never leaving half of it.

    Root leaves it to the owner of the directory, who may be the one to come back to it.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    fresh.replace(path)
