"""`up --fresh`: forget a data directory, after asking; nothing that is not ours is touched."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from dev.up.environment import FILE_NAME
from dev.up.errors import EngineError

# Any of these says that a directory is one of ours.
_OURS = (FILE_NAME, "postgres", "valkey")
# Data of theirs is on servers that we did not start.
_SERVERS = ("DATABASE_URL", "REDIS_URL")


def forget(directory: Path, given: Mapping[str, str], *, keep: str, is_sure: bool) -> None:
    """Remove what earlier runs left in a directory that this one has locked, but for `keep`.

    It asks on a terminal. Raises `EngineError` where it may not, and `click.Abort` where the
    answer is no.
    """
    if named := [name for name in _SERVERS if name in given]:
        raise EngineError(
            f"--fresh forgets data of the embedded servers, and {named[0]} names one of yours; "
            "unset it, or begin anew there by hand"
        )
    left = [path for path in directory.iterdir() if path.name != keep]
    if not left:
        return
    if not any((directory / name).exists() for name in _OURS):
        raise EngineError(f"{directory} does not look like data of `up`; nothing was removed")
    if not is_sure:
        _ask(directory)
    for path in left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _ask(directory: Path) -> None:
    if not sys.stdin.isatty():
        raise EngineError(
            f"--fresh removes everything in {directory}; nobody can be asked here, so add --yes"
        )
    click.confirm(
        f"Remove all events, balances, secrets and logs in {directory}?", abort=True, err=True
    )
