"""`bench`: measure everything, or one part; prints a table, and writes JSON where asked to."""

import importlib
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import click

import settings
from bench import report
from bench.figures import Findings
from bench.load import LoadError
from bench.scale import MILLION_BACKLOG, MILLIONS_OF_ROWS, NORMAL, QUICK, Scale
from bench.stand import Stand, StandError
from dev.up.errors import EngineError

PARTS = ("accept", "apply", "whole", "forms", "size")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write every figure here, with the machine and the targets.",
)
@click.option("--quick", is_flag=True, help="Tiny rounds: shows that it works, says nothing.")
@click.option(
    "--million", is_flag=True, help="A backlog of a million too, and tables of five million rows."
)
def bench(parts: tuple[str, ...], json_path: Path | None, *, quick: bool, million: bool) -> None:
    """Measure the product on this machine, beside the usual ways of doing its work.

    Starts engines and processes of its own, on loopback, and takes them away again. Keep the
    machine idle: a busy one is measured as a slow one.
    """
    if json_path:
        json_path = json_path.absolute()
        json_path.parent.mkdir(parents=True, exist_ok=True)
    scale = _scale(is_quick=quick, is_million=million)
    directory = settings.load().data_dir.absolute()
    click.echo(report.machine_line())
    signal.signal(signal.SIGTERM, _end)
    try:
        found = [_measured(part, directory, scale) for part in parts or PARTS]
    except (StandError, LoadError, EngineError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(report.table(found))
    if json_path:
        json_path.write_text(report.document(found, is_quick=quick) + "\n", encoding="utf-8")
        click.echo(f"written to {json_path}")


def _measured(part: str, directory: Path, scale: Scale) -> Findings:
    measure: Callable[[Stand, Scale], Findings] = importlib.import_module(f"bench.{part}").measure
    began = time.monotonic()
    click.echo(f"measuring {part} ...", err=True)
    # Every part has engines of its own: none pays for what another left behind.
    with Stand(directory) as stand:
        found = measure(stand, scale)
        found.note(f"engines: {stand.require_durable()}")
    click.echo(f"measured {part} in {time.monotonic() - began:.0f} s", err=True)
    return found


def _scale(*, is_quick: bool, is_million: bool) -> Scale:
    scale = QUICK if is_quick else NORMAL
    if not is_million:
        return scale
    return replace(
        scale,
        backlogs=(*scale.backlogs, MILLION_BACKLOG),
        table_rows=(*scale.table_rows, *MILLIONS_OF_ROWS),
    )


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)
