"""A disk small enough to be filled, and the fault that fills it. Needs the right to mount."""

import contextlib
import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.faults.stage import Stage

DISK_MIB = 640
BALLAST = "ballast"
_BLOCK = bytes(1024 * 1024)


class NoDiskError(Exception):
    """There is no disk to fill: mounting is not allowed; the text says why."""


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A directory on a file system of its own. Raises `NoDiskError` where that is not allowed."""
    place.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0711", "tmpfs", str(place))
    try:
        yield place
    finally:
        _run("umount", str(place))


def disk_full(stage: Stage) -> None:
    """Leave neither engine a byte to write to, for some seconds."""
    ballast = stage.product.directory.parent / BALLAST
    try:
        _fill(ballast)
        stage.pause(5, 8)
        _fill(ballast)  # Whatever was freed meanwhile.
        stage.pause(1, 2)
    finally:
        ballast.unlink()


def _fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            try:
                file.write(_BLOCK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                while file.write(_BLOCK[:512]):  # To the last sector; ends with the same error.
                    pass


def _run(*words: str) -> None:
    try:
        result = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - our own words.
    except OSError as error:
        raise NoDiskError(f"{words[0]}: {error.strerror}") from error
    if result.returncode:
        raise NoDiskError(result.stderr.strip())
