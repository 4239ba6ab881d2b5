"""Tables for people: aligned, coloured on a terminal and plain in a pipe."""

import sys
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table

# Nothing is folded for a width that a pipe does not have.
_PIPE_WIDTH = 400


def console() -> Console:
    """Where tables go: stdout."""
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH, no_color=True)


def table(headings: Sequence[str], wrapped: Collection[str] = ()) -> Table:
    """An empty table; columns that are not to be `wrapped` keep each row on one line."""
    empty = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        empty.add_column(heading, no_wrap=heading not in wrapped)
    return empty
