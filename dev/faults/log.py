"""What a product's log says of a run."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

_LINE = re.compile(r"\w+ +\| (?P<at>\S+T\S+Z) \[(?P<level>\w+) *\] (?P<says>.*)")
_WRONG = ("warning", "error", "critical")
_REDIS_REFUSES, _REDIS_ANSWERS = "redis refused", "redis answers again"
# What met Redis when it did not answer waited before that was said, and may be applied after it.
_MARGIN_SECONDS = 1.0


class _Line(NamedTuple):
    at: float
    level: str
    says: str
    text: str


def warned(log_path: Path, began: float, ended: float) -> Sequence[str]:
    """The warnings and errors between these Unix times."""
    return [
        line.text for line in _lines(log_path) if line.level in _WRONG and began <= line.at <= ended
    ]


def without_redis(log_path: Path) -> Sequence[tuple[float, float]]:
    """The Unix times between which the receiver left Redis alone, and a moment before and after."""
    away: list[tuple[float, float]] = []
    since: float | None = None
    for line in _lines(log_path):
        if line.says.startswith(_REDIS_REFUSES) and since is None:
            since = line.at
        elif line.says.startswith(_REDIS_ANSWERS) and since is not None:
            away.append((since - _MARGIN_SECONDS, line.at + _MARGIN_SECONDS))
            since = None
    return away if since is None else [*away, (since - _MARGIN_SECONDS, float("inf"))]


def _lines(log_path: Path) -> Iterator[_Line]:
    with log_path.open() as log:
        for text in log:
            if found := _LINE.match(text):
                at = datetime.fromisoformat(found["at"]).timestamp()
                yield _Line(at, found["level"], found["says"], text.rstrip("\n"))
