"""One terminal for many processes: each line under the name of the one that wrote it.

A reader that does not read (a full pipe, a stopped terminal) never holds up a process: lines are
dropped then, and counted.
"""

import contextlib
import queue
import sys
import threading
from typing import IO

NAME_WIDTH = 10
QUEUE_LINES_MAX = 10_000
FLUSH_SECONDS = 1.0
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Console:
    """Prints lines in a thread of its own."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUE_LINES_MAX)
        self._colours: dict[str, int] | None = {} if sys.stdout.isatty() else None
        self._dropped = 0
        self._thread = threading.Thread(target=self._print_all, daemon=True, name="console")
        self._thread.start()

    def say(self, name: str, line: str) -> None:
        """Print a line under a name, soon."""
        label = f"{name:<{NAME_WIDTH}} |"
        if self._colours is not None:
            number = self._colours.setdefault(name, len(self._colours))
            label = f"\033[{COLOURS[number % len(COLOURS)]}m{label}\033[0m"
        self.print(f"{label} {line}")

    def print(self, text: str) -> None:
        """Print text as it is, soon."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._dropped += 1

    def follow(self, name: str, source: IO[bytes]) -> None:
        """Print what `source` says until it ends."""

        def read() -> None:
            with source:
                for line in source:
                    self.say(name, line.decode(errors="replace").rstrip())

        threading.Thread(target=read, daemon=True, name=f"read {name}").start()

    def close(self) -> None:
        """Print what is left, unless nobody reads."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(FLUSH_SECONDS)

    def _print_all(self) -> None:
        # The reader may have gone; the processes are to run on, so there is nothing to print to.
        with contextlib.suppress(OSError, ValueError):
            while (text := self._lines.get()) is not None:
                print(text, flush=True)  # noqa: T201 - this is the terminal.
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    print(f"({dropped} lines dropped)", flush=True)  # noqa: T201 - as above.
        while self._lines.get() is not None:  # Only after such an error.
            pass
