"""Shows how far a run is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

_LINE_EVERY_SECONDS = 5.0


@contextmanager
def meter(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how many of `total` are done."""
    if not console.is_terminal:
        with _lines(console, what, total) as progress:
            yield progress
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _lines(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    last = [time.monotonic(), 0.0]

    def tell(done: int) -> None:
        last[1] = done
        if time.monotonic() - last[0] >= _LINE_EVERY_SECONDS:
            last[0] = time.monotonic()
            console.print(f"{what}: {done:,} of {total:,}", highlight=False)

    yield tell
    console.print(f"{what}: {int(last[1]):,} of {total:,}", highlight=False)
