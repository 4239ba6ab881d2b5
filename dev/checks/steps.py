"""One step of a check: a tool that runs, how long it took and what came of it.

`test` runs every step; `fmt`, `lint`, `types` and `test_fast` run a few of the same.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click

ROOT = Path(__file__).resolve().parents[2]
# `lint-imports` as a module: a script in an environment with a space in its path cannot start.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as main; main(['--no-logo'])"
STYLE = ("style", ("-m", "ruff", "check", "--quiet", "."))
FORMAT = ("format", ("-m", "ruff", "format", "--quiet", "--check", "."))
TYPES = ("types", ("-m", "mypy", "."))
IMPORTS = ("imports", ("-c", LINT_IMPORTS))
PROCESSES = 2


class Finding(Protocol):
    """What is wrong, one line each; or why nothing could be found out."""

    @property
    def found(self) -> Sequence[str]:
        """What is wrong."""
        ...

    @property
    def skipped(self) -> str:
        """Why nobody knows; empty otherwise."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """How one step went."""

    name: str
    seconds: float
    status: int
    skipped: str = ""

    @property
    def verdict(self) -> str:
        """How it went, for the table."""
        return f"skipped: {self.skipped}" if self.skipped else "FAILED" if self.status else "ok"


def run(name: str, words: Sequence[str], extra: Mapping[str, str] | None = None) -> Step:
    """Run one of the project's tools with this Python; what it says goes to the terminal."""
    click.secho(f"== {name}", bold=True)
    started_at = time.monotonic()
    result = subprocess.run(  # noqa: S603 - the project's own tools.
        [sys.executable, *words], cwd=ROOT, env={**os.environ, **(extra or {})}, check=False
    )
    return Step(name, time.monotonic() - started_at, result.returncode)


def look(name: str, work: Callable[[], Finding]) -> Step:
    """A step that may not be able to find anything out, and says so."""
    click.secho(f"== {name}", bold=True)
    started_at = time.monotonic()
    result = work()
    for line in result.found:
        click.echo(f"  {line}")
    return Step(name, time.monotonic() - started_at, bool(result.found), result.skipped)


def table(done: Sequence[Step]) -> str:
    """Every step with its time and how it went, a line each."""
    rows = (f"  {step.name:<8} {step.seconds:6.1f} s  {step.verdict}" for step in done)
    return "\n".join(["", *rows, ""])
