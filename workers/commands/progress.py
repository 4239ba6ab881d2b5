"""Progress of a long command, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LINE_EVERY_SECONDS = 10.0

Show = Callable[[int, int], None]


@contextmanager
def progress(doing: str) -> Iterator[Show]:
    """Yields what is to be told how many of how many events are done; `doing` names the work."""
    if not sys.stderr.isatty():
        yield _lines(doing)
        return
    # Results must not be drawn over on a terminal, nor end on stderr when stdout is a file.
    is_shared = sys.stdout.isatty()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=is_shared) as bar:
        task = bar.add_task(doing)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(doing: str) -> Show:
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY_SECONDS:
            click.echo(f"{doing}: {done:,} of {total:,} events", err=True)
            last = time.monotonic()

    return show
