"""One step of a check: a tool that runs, how long it took and what came of it.

`test` runs every step; `fmt`, `lint`, `types` and `test_fast` run a few of the same.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
# `lint-imports` as a module: a script in an environment with a space in its path cannot start.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as main; main(['--no-logo'])"
STYLE = ("style", ("-m", "ruff", "check", "--quiet", "."))
FORMAT = ("format", ("-m", "ruff", "format", "--quiet", "--check", "."))
TYPES = ("types", ("-m", "mypy", "."))
IMPORTS = ("imports", ("-c", LINT_IMPORTS))
PROCESSES = 2


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
