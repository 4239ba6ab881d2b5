"""`load_plans`: brings the catalogue to what a file says, and shows what that changed."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

import db.catalogue
import settings
from db.catalogue import StillPayable
from db.engine import make_engine
from domain.catalogue import CatalogueChange, Plan
from domain.catalogue_changes import changes_between
from domain.catalogue_file import read_plans
from domain.errors import CatalogueError
from workers.apply import CatalogueCache, settle_after


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load changed; and what is off sale and can be paid all the same, for a while."""

    plans: Sequence[CatalogueChange]
    still_payable: Sequence[StillPayable]


def load_file(database_url: str, path: Path) -> Loaded:
    """Load a catalogue file; returns what changed, nothing the second time.

    Payments that it concerns are valued again. Raises `CatalogueError` naming everything
    that is wrong with the file; nothing is written then.
    """
    plans = read_plans(_parsed(path))
    engine = make_engine(database_url, pool_size=1, application_name="fiko-load-plans")
    try:
        return _load(engine, plans)
    finally:
        engine.dispose()


def _load(engine: Engine, plans: Sequence[Plan]) -> Loaded:
    with engine.begin() as connection:
        db.catalogue.hold(connection)
        changes = changes_between(db.catalogue.load(connection), plans)
        db.catalogue.save(connection, changes)
        still_payable = db.catalogue.still_payable(connection)
    if changes:
        settle_after(engine, changes, CatalogueCache())
    return Loaded(changes, still_payable)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: is not TOML: {error}.") from error


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def load_plans(file: Path) -> None:
    """Load the catalogue in FILE (TOML); idempotent."""
    found = settings.load(needs=("database_url",))
    try:
        loaded = load_file(found.database_url, file)
    except CatalogueError as error:
        raise click.ClickException(str(error)) from error
    for change in loaded.plans:
        _show(change)
    for payable in loaded.still_payable:
        _warn(payable)
    changed = len(loaded.plans)
    click.echo(f"{changed} plans changed." if changed else "Nothing to change.")


def _show(change: CatalogueChange) -> None:
    plan = change.after
    is_new = change.before is None
    mark = click.style("+" if is_new else "~", fg="green" if is_new else "yellow")
    click.echo(f"{mark} plan {plan.id} version {plan.version}  {plan.name}")
    for difference in change.differences:
        click.echo(f"    {difference}")


def _warn(payable: StillPayable) -> None:
    until = payable.until and f"{payable.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    many = (
        "1 checkout session" if payable.sessions == 1 else f"{payable.sessions} checkout sessions"
    )
    click.echo(
        f"{click.style('!', fg='yellow')} plan {payable.plan_id} is off sale in"
        f" {payable.currency}, and {many} opened before can be paid until"
        f" {until or 'they expire'}: expire them at Stripe if they must not be"
    )
