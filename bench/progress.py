"""What is under way, on stderr: one line that changes on a terminal, a line a part elsewhere."""

import sys
import time
from collections.abc import Iterable

import click

# A terminal that is narrower wraps the line, and then it could not be taken away again.
WIDTH = 78


class Progress:
    """Parts, and steps within them; says nothing of steps where nobody looks on."""

    def __init__(self, *, is_live: bool | None = None) -> None:
        """`is_live` is for tests; by default stderr is asked."""
        self._is_live = sys.stderr.isatty() if is_live is None else is_live
        self._part = ""
        self._began = 0.0

    def begin(self, part: str) -> None:
        """A part is being measured from now on."""
        self._part, self._began = part, time.monotonic()
        if self._is_live:
            self.step("engines start")
        else:
            click.echo(f"measuring {part} ...", err=True)

    def step(self, text: str) -> None:
        """What the part does now."""
        if self._is_live:
            minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
            line = f"{self._part} {minutes}:{seconds:02}  {text}"[:WIDTH]
            click.echo(f"\r\x1b[2K{line}", err=True, nl=False)

    def tell(self, lines: Iterable[str]) -> None:
        """What has been found so far: a run that is broken off has not been for nothing."""
        self.clear()
        for line in lines:
            click.echo(f"  {line}", err=True)

    def end(self) -> None:
        """The part is done."""
        self.clear()
        seconds = time.monotonic() - self._began
        click.echo(f"measured {self._part} in {seconds:.0f} s", err=True)

    def clear(self) -> None:
        """Take the line away, so that something else can be written."""
        if self._is_live:
            click.echo("\r\x1b[2K", err=True, nl=False)
