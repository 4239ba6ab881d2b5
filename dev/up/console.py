"""One terminal for many processes: each line under the name of the one that wrote it.

Every line goes to the log file of its process. Where all logs are to be shown they are printed as
well; else only what warns, above a live line. A reader that does not read (a full pipe, a stopped
terminal) never holds up a process: lines are dropped then, and counted.
"""

import contextlib
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from rich.console import RenderableType

from dev.up.logs import LogFile, said
from dev.up.screens import LiveScreen, PlainScreen, Screen

NAME_WIDTH = 10
QUEUE_LINES_MAX = 10_000
FLUSH_SECONDS = 1.0
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
# What warns is in the log whole; a screen of it shall not be filled by one list.
WARNING_LENGTH_MAX = 240
COMMON_LENGTH_MAX = 100
LAST_LINES = 6
# What a process said before it died may still be on its way to us.
READ_SECONDS = 1.0


class Voice:
    """What one process says; it remembers the end of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self.thread: threading.Thread | None = None

    def last(self) -> list[str]:
        """The last lines; of a process that has died, all there will be."""
        if self.thread is not None:
            self.thread.join(READ_SECONDS)
        spoken = [said(line) for line in self.lines if line]
        # A line of no known form is the cry of one that dies.
        common = {"debug", "info"}
        return [
            _shortened(one.text, COMMON_LENGTH_MAX if one.level in common else WARNING_LENGTH_MAX)
            for one in spoken
        ]


class _Status:
    """A live line on its way to the screen."""

    def __init__(self, line: RenderableType | None) -> None:
        self.line = line


class Console:
    """Prints lines in a thread of its own."""

    def __init__(self, logs: Path | None = None, *, live: bool = False) -> None:
        """`logs` is the directory of the log files; with `live` a terminal shows only warnings."""
        self._logs = logs
        self._shows_all = not live
        self._screen: Screen = LiveScreen() if live else PlainScreen()
        self._lines: queue.Queue[str | _Status | None] = queue.Queue(QUEUE_LINES_MAX)
        self._is_terminal = sys.stdout.isatty()
        self._colours: dict[str, int] | None = {} if self._is_terminal and coloured() else None
        # What `up` itself says has no process, and is kept all the same.
        self._own = LogFile(logs, "up") if logs else None
        self._dropped = 0
        self._is_past = False
        self._thread = threading.Thread(target=self._show_all, daemon=True, name="console")
        self._thread.start()

    def say(self, name: str, line: str) -> None:
        """Print a line under a name, soon; what `up` says itself goes to its log as well."""
        if self._own and name == "up":
            self._own.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n".encode())
        label = f"{name:<{NAME_WIDTH}} |"
        if self._colours is not None:
            number = self._colours.setdefault(name, len(self._colours))
            label = f"\033[{COLOURS[number % len(COLOURS)]}m{label}\033[0m"
        self.print(f"{label} {line}")

    def print(self, text: str) -> None:
        """Print text as it is, soon."""
        self._put(text)

    def status(self, line: RenderableType) -> None:
        """Put the live line below everything, soon; where all is shown there is none."""
        if not self._is_past:
            self._put(_Status(line))

    def end_status(self) -> None:
        """Take the live line away for good: what is still told of it comes too late."""
        self._is_past = True
        self._put(_Status(None))

    def follow(self, name: str, source: IO[bytes]) -> Voice:
        """Log what `source` says until it ends, and print what is to be shown of it."""
        voice = Voice(name)
        log = LogFile(self._logs, name) if self._logs else None

        def read() -> None:
            with source:
                for line in source:
                    if log:
                        log.write(line)
                    self._hear(voice, line.decode(errors="replace").rstrip())
            if log:
                log.close()

        voice.thread = threading.Thread(target=read, daemon=True, name=f"read {name}")
        voice.thread.start()
        return voice

    def last_words(self, name: str, lines: Sequence[str]) -> None:
        """Print what a process said before it died, where that has not been printed already."""
        if not self._shows_all:
            for line in lines:
                self.say(name, line)

    @contextlib.contextmanager
    def only_warnings(self) -> Iterator[None]:
        """On a terminal, leave to the log files what is told meanwhile, but for warnings."""
        before = self._shows_all
        self._shows_all = before and not self._is_terminal
        try:
            yield
        finally:
            self._shows_all = before

    def close(self) -> None:
        """Print what is left, unless nobody reads."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(FLUSH_SECONDS)

    def _hear(self, voice: Voice, line: str) -> None:
        voice.lines.append(line)
        if self._shows_all:
            self.say(voice.name, line)
        elif (line_said := said(line)).warns:
            self.say(voice.name, _shortened(line_said.text, WARNING_LENGTH_MAX))

    def _put(self, item: str | _Status) -> None:
        try:
            self._lines.put_nowait(item)
        except queue.Full:
            self._dropped += isinstance(item, str)

    def _show_all(self) -> None:
        # The reader may have gone; the processes are to run on, so there is nothing to print to.
        with contextlib.suppress(OSError, ValueError):
            while (item := self._lines.get()) is not None:
                self._show(item)
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    self._screen.show(f"({dropped} lines dropped)")
            self._screen.close()
            return
        while self._lines.get() is not None:  # Only after such an error.
            pass

    def _show(self, item: str | _Status) -> None:
        if isinstance(item, str):
            self._screen.show(item)
        else:
            self._screen.status(item.line)


def coloured() -> bool:
    """Whether colours are welcome on a terminal (no-color.org)."""
    return not os.environ.get("NO_COLOR")


def _shortened(line: str, length_max: int) -> str:
    whole = len(line) <= length_max
    return line if whole else f"{line[:length_max].rstrip()} …"
