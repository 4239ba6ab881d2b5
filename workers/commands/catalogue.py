"""`load_plans`: brings the catalogue to what a file says, and shows what that changed."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, Engine

import db.ledger.catalogue
import settings
from db.engine import Configured, make_engine
from db.ledger.catalogue import CatalogueCache, StillPayable
from db.ledger.rederiving import derive_after
from domain.catalogue.changes import changes_between, tokenless_between
from domain.catalogue.file import CatalogueFile, read_catalogue
from domain.catalogue.plans import CatalogueChange, TokenlessChange
from domain.errors import CatalogueError


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load changed; and what is off sale and can be paid all the same, for a while."""

    plans: Sequence[CatalogueChange]
    prices_without_tokens: TokenlessChange
    policies: Sequence[str]
    still_payable: Sequence[StillPayable]


def load_file(database: Configured | str, path: Path) -> Loaded:
    """Load a catalogue file; returns what changed, nothing the second time.

    Payments that it concerns are valued again. Raises `CatalogueError` naming everything
    that is wrong with the file; nothing is written then.
    """
    wanted = read_catalogue(_parsed(path))
    engine = make_engine(database, pool_size=1, application_name="fiko-load-plans")
    try:
        return _load(engine, wanted)
    finally:
        engine.dispose()


def compare_file(database: Configured | str, path: Path) -> Loaded:
    """What loading a catalogue file would change; nothing is written. Raises as `load_file`."""
    wanted = read_catalogue(_parsed(path))
    engine = make_engine(database, pool_size=1, application_name="fiko-load-plans")
    try:
        with engine.connect() as connection, connection.begin() as transaction:
            loaded = _save(connection, wanted)
            transaction.rollback()
        return loaded
    finally:
        engine.dispose()


def _load(engine: Engine, wanted: CatalogueFile) -> Loaded:
    with engine.begin() as connection:
        loaded = _save(connection, wanted)
    price_ids = loaded.prices_without_tokens.price_ids
    if loaded.plans or price_ids:
        derive_after(engine, loaded.plans, CatalogueCache(), price_ids=price_ids)
    return loaded


def _save(connection: Connection, wanted: CatalogueFile) -> Loaded:
    db.ledger.catalogue.lock(connection)
    current = db.ledger.catalogue.load(connection)
    changes = changes_between(current, wanted.plans)
    tokenless = tokenless_between(current, wanted.prices_without_tokens)
    db.ledger.catalogue.save(connection, changes)
    db.ledger.catalogue.save_tokenless(connection, tokenless)
    policies = current.policies.differences(wanted.policies)
    if policies:
        db.ledger.catalogue.save_policies(connection, wanted.policies)
    still_payable = db.ledger.catalogue.still_payable(connection)
    return Loaded(changes, tokenless, policies, still_payable)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: is not TOML: {error}.") from error


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", "is_dry", is_flag=True, help="Only show what would change.")
def load_plans(file: Path, *, is_dry: bool) -> None:
    """Load the catalogue in FILE (TOML); idempotent."""
    configured = settings.load(needs=("database_url",))
    try:
        loaded = (compare_file if is_dry else load_file)(configured, file)
    except CatalogueError as error:
        raise click.ClickException(str(error)) from error
    for change in loaded.plans:
        _show(change)
    for difference in (*loaded.prices_without_tokens.differences, *loaded.policies):
        click.echo(f"{click.style('~', fg='yellow')} {difference}")
    for payable in loaded.still_payable:
        _warn(payable)
    click.echo(_summary(loaded, is_dry=is_dry))


def _show(change: CatalogueChange) -> None:
    plan = change.after
    is_new = change.before is None
    mark = click.style("+" if is_new else "~", fg="green" if is_new else "yellow")
    click.echo(f"{mark} plan {plan.id} version {plan.version}  {plan.name}")
    for difference in change.differences:
        click.echo(f"    {difference}")


def _summary(loaded: Loaded, *, is_dry: bool) -> str:
    counts = {
        "plans": len(loaded.plans),
        "prices without tokens": len(loaded.prices_without_tokens.price_ids),
        "policies": len(loaded.policies),
    }
    verb = "would change" if is_dry else "changed"
    parts = [f"{count} {what} {verb}." for what, count in counts.items() if count]
    return " ".join(parts) or "Nothing to change."


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
