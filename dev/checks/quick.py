"""The quick checks, for while one works: `fmt`, `lint`, `types` and `test_fast`.

Each runs steps of `test` and takes less than half a minute once its tool has filled its cache.
"""

import sys
from collections.abc import Sequence

import click

from dev.checks import seclusion, steps

# Sorting comes first: it may leave lines that the formatter then joins.
WRITE = (
    ("sort", ("-m", "ruff", "check", "--quiet", "--select", "I", "--fix", ".")),
    ("format", ("-m", "ruff", "format", "--quiet", ".")),
)
# Nothing here asks for an engine, starts a product or tries a property with many examples.
FAST = (
    *("-m", "pytest", "-q", "-n", str(steps.PROCESSES)),
    *("-m", "not engines and not hypothesis and not faults and not browser"),
)
FAST_PLACES = ("tests/domain", "tests/db", "tests/workers", "tests/contracts")

Words = Sequence[tuple[str, Sequence[str]]]


@click.command()
def fmt() -> None:
    """Sort imports and format every file."""
    _run(WRITE)


@click.command()
def lint() -> None:
    """Check style, format and import rules."""
    _run((steps.STYLE, steps.FORMAT, steps.IMPORTS))


@click.command()
def types() -> None:
    """Check types."""
    _run((steps.TYPES,))


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test_fast(pytest_arguments: tuple[str, ...]) -> None:
    """Run the tests that need no engine; with arguments, those of them that pytest then finds."""
    _run((("tests", (*FAST, *(pytest_arguments or FAST_PLACES))),))


def _run(wanted: Words) -> None:
    seclusion.forget_settings()
    # All of them, also after one that failed: who mends the first wants to know of the second.
    done = [steps.run(name, words) for name, words in wanted]
    sys.exit(1 if any(step.status for step in done) else 0)
