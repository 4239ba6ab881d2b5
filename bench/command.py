"""`bench`: measure everything, or one part; prints a table, and writes JSON where asked to."""

import importlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import click

import settings
from bench import report
from bench.figures import Findings
from bench.load import LoadError
from bench.place import StandError
from bench.scale import NORMAL, QUICK, Scale, scaled
from bench.stand import Stand
from dev.up.errors import EngineError

PARTS = ("accept", "streams", "apply", "outbox", "whole", "size", "growth")
AGAINST = "against"
# What is only measured where it is asked for by name.
BY_NAME = ("copies", "scale")
# A part whose module has another name than it.
MODULES = {"scale": "scaling"}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice((*PARTS, *BY_NAME, AGAINST)))
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write every figure here, with the machine and the targets.",
)
@click.option("--quick", is_flag=True, help="Tiny rounds: shows that it works, says nothing.")
@click.option("--million", is_flag=True, help="A backlog of a million, and ten million stored.")
@click.option(
    "--against",
    "other",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another checkout of this product, measured in turn with this one.",
)
@click.option("--rounds", type=click.IntRange(1, 99), help="How often each is measured.")
@click.option("--size", type=click.IntRange(1_000), help="How many events the backlog has.")
@click.option(
    "--rows",
    type=click.IntRange(0),
    multiple=True,
    help="How many events are stored where growth is measured; may be given several times.",
)
def bench(
    parts: tuple[str, ...],
    json_path: Path | None,
    other: Path | None,
    *,
    quick: bool,
    **amounts: Any,  # noqa: ANN401 - options of several types.
) -> None:
    """Measure the product on this machine, beside other ways of doing its work.

    Starts engines and processes of its own, on loopback, and takes them away again. Keep the
    machine idle: a busy one is measured as a slow one.
    """
    if json_path:
        json_path = json_path.absolute()
        json_path.parent.mkdir(parents=True, exist_ok=True)
    scale = scaled(QUICK if quick else NORMAL, **amounts)
    directory = settings.load().data_dir.absolute()
    other = _checkout(other)
    if AGAINST in parts and not other:
        raise click.UsageError("the part against needs --against CHECKOUT")
    click.echo(report.machine_line())
    signal.signal(signal.SIGTERM, _end)
    chosen = parts or (*PARTS, *([AGAINST] if other else []))
    try:
        found = [_measured(part, Stand(directory, other=other), scale) for part in chosen]
    except (StandError, LoadError, EngineError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(report.table(found))
    if json_path:
        json_path.write_text(report.document(found, is_quick=quick) + "\n", encoding="utf-8")
        click.echo(f"written to {json_path}")


def _measured(part: str, stand: Stand, scale: Scale) -> Findings:
    measure: Callable[[Stand, Scale], Findings] = importlib.import_module(
        f"bench.{MODULES.get(part, part)}"
    ).measure
    stand.progress.begin(part)
    try:
        # Every part has engines of its own: none pays for what another left behind.
        with stand:
            found = measure(stand, scale)
            found.note(f"engines: {stand.require_durable()}")
    finally:
        stand.progress.clear()
    stand.progress.end()
    return found


def _checkout(path: Path | None) -> Path | None:
    """Where another checkout is; one of this product has its commands in `manage.py`."""
    if path and not (path / "manage.py").is_file():
        raise click.BadParameter(f"{path} is no checkout of this product: it has no manage.py")
    return path.resolve() if path else None


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)
