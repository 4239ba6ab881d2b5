"""The files in `<data>/logs/`, one a process, and what a line in them says of its weight.

A file that has grown to its limit is put beside as `NAME.log.1`, and another begins; so a process
keeps twice the limit at most, however long it runs. A disk that takes no line holds up nobody.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import orjson

DIRECTORY = "logs"
BYTES_MAX = 16 * 1024 * 1024
PRIVATE = 0o600
# Lines of these weights are for a person to see at once.
HEAVY = frozenset({"warning", "error", "critical"})
# `telemetry` writes a moment, a weight in brackets and the rest; or an object.
_CONSOLE = re.compile(r"\S+T(\d\d:\d\d:\d\d)\S* \[(\w+) *\] +(.*)")
_BLANKS = re.compile(r" {2,}")


class LogFile:
    """What one process says, appended to a file of limited size."""

    def __init__(self, directory: Path, name: str, *, bytes_max: int = BYTES_MAX) -> None:
        """The file is `<directory>/<name>.log`; it is opened with the first line."""
        self.path = directory / f"{name.replace(' ', '-')}.log"
        self._bytes_max = bytes_max
        self._file: int | None = None
        self._size = 0

    def write(self, line: bytes) -> None:
        """Append a line as it is; where the disk refuses, it is lost."""
        with contextlib.suppress(OSError):
            if self._file is None:
                self._open()
            elif self._size > self._bytes_max:
                self.close()
                self._open()
            if self._file is not None:
                self._size += os.write(self._file, line)

    def close(self) -> None:
        """Again is a no-op."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        set_aside(self.path, self._bytes_max)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = os.open(self.path, flags, PRIVATE)
        self._size = os.fstat(self._file).st_size


def set_aside(path: Path, bytes_max: int = BYTES_MAX) -> None:
    """Rename a log that has grown beyond its limit, over the one that was set aside before."""
    if path.exists() and path.stat().st_size > bytes_max:
        path.replace(path.with_name(f"{path.name}.1"))


@dataclass(frozen=True, slots=True)
class Said:
    """A line of a log as a person is told it: without date, in one piece."""

    level: str
    text: str

    @property
    def warns(self) -> bool:
        """Whether a person should see it at once."""
        return self.level in HEAVY


def said(line: str) -> Said:
    """What a line says; one of an unknown form has no level and stays as it is."""
    if line.startswith("{"):
        return _said_as_object(line)
    parts = _CONSOLE.match(line)
    if parts is None:
        return Said("", line)
    moment, level, rest = parts.groups()
    return Said(level, f"{moment} {level}: {_BLANKS.sub('  ', rest)}")


def _said_as_object(line: str) -> Said:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return Said("", line)
    level, moment = str(fields.pop("level", "")), str(fields.pop("at", ""))[11:19]
    event = fields.pop("event", "")
    fields.pop("exception", None)
    rest = " ".join(f"{name}={value}" for name, value in fields.items())
    return Said(level, f"{moment} {level}: {event}  {rest}".rstrip())
