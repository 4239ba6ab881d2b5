"""What the lines of `up` are shown on: a stream that takes all, or a terminal with a live line."""

import sys
from typing import Protocol

from rich.console import Console as Terminal
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text


class Screen(Protocol):
    """Where lines are shown; used by one thread alone."""

    def show(self, text: str) -> None:
        """Show text, and keep it."""

    def status(self, line: RenderableType | None) -> None:
        """Put a live line below all text, in the place of the one before; None takes it away."""

    def close(self) -> None:
        """Leave the screen as it was found."""


class PlainScreen:
    """Prints all there is to standard output."""

    def show(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)  # noqa: T201 - this is the terminal.

    def status(self, line: RenderableType | None) -> None:
        """There is no live line."""

    def close(self) -> None:
        """Nothing to do."""


class LiveScreen:
    """A terminal with one live line below what stays.

    The cursor is never hidden: whoever kills or suspends `up` has a terminal that works.
    """

    def __init__(self) -> None:
        # Whoever asks for this screen knows that there is a terminal.
        self._terminal = Terminal(
            file=sys.stdout, force_terminal=True, highlight=False, markup=False, emoji=False
        )
        self._live: Live | None = None

    def show(self, text: str) -> None:
        """Print it above the live line; long lines are wrapped by the terminal."""
        self._terminal.print(Text.from_ansi(text), soft_wrap=True)

    def status(self, line: RenderableType | None) -> None:
        """Draw the line anew, at the width that the terminal has now."""
        if line is None:
            self.close()
            return
        if self._live is None:
            self._live = Live(
                line,
                console=self._terminal,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
            self._terminal.show_cursor(show=True)
        self._live.update(line, refresh=True)

    def close(self) -> None:
        """Take the live line away; the cursor is then where it was."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()
