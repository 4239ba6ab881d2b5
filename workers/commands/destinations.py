"""`destinations`: who hears of changes by webhook, and how they answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click
from sqlalchemy import Engine

import settings
from db.engine import make_engine
from db.outbox import destinations as tables
from db.outbox.destinations import Destination
from domain.errors import BillingError
from workers.commands.groups import suggesting
from workers.commands.options import When
from workers.commands.tables import console, table
from workers.hearing import destinations as hearing
from workers.hearing.addresses import AddressRefusedError

_ID = click.argument("destination_id", metavar="ID")
_TYPES = click.option(
    "--type", "types", multiple=True, metavar="T", help="Only messages of this type; repeatable."
)
_PAUSED_BY_HAND = "paused by a person"


@suggesting()
def destinations() -> None:
    """Who hears of changes: outgoing webhooks, signed after Standard Webhooks."""


@destinations.command("list")
def list_destinations() -> None:
    """List the destinations, how each answers, and how many users it lacks news of."""
    with _engine() as engine, engine.connect() as connection:
        rows = [(each, tables.waiting(connection, each.id)) for each in tables.everyone(connection)]
    if not rows:
        click.echo("There is no destination; `destinations add URL` makes one.")
        return
    shown = table(["id", "url", "types", "state", "users waiting"], wrapped=["url", "state"])
    for destination, waiting in rows:
        types = ", ".join(destination.types) or "all"
        shown.add_row(destination.id, destination.url, types, state_of(destination), f"{waiting:,}")
    console().print(shown)


@destinations.command()
@click.argument("url")
@_TYPES
def add(url: str, types: tuple[str, ...]) -> None:
    """Add a destination and print its secret, this once."""
    allow_private = settings.load().destinations_allow_private
    with _engine() as engine:
        try:
            destination_id, secret = hearing.add(engine, url, types, allow_private=allow_private)
        except AddressRefusedError as error:
            raise click.ClickException(f"{error}. Nothing was added.") from error
    click.echo(f"{destination_id} hears of changes from now on.")
    click.echo(f"Its secret, which is not shown again: {secret}")


@destinations.command()
@_ID
def rotate(destination_id: str) -> None:
    """Give a destination a new secret; for a day the old one signs as well."""
    with _engine() as engine:
        _known(engine, destination_id)
        secret = hearing.rotate(engine, destination_id)
    click.echo(f"The old secret signs as well for {tables.OLD_SECRET_HOURS} h.")
    click.echo(f"The new one, which is not shown again: {secret}")


@destinations.command()
@_ID
def test(destination_id: str) -> None:
    """Send a message that tells of nothing; exit 1 where it is not received."""
    allow_private = settings.load().destinations_allow_private
    with _engine() as engine:
        destination = _known(engine, destination_id)
    answer = hearing.try_out(destination, allow_private=allow_private)
    if not answer.is_received:
        raise click.ClickException(f"{destination.url}: {answer.error}.")
    click.echo(f"{destination.url} answered {answer.status}.")


@destinations.command()
@_ID
@click.option("--reason", default=_PAUSED_BY_HAND, show_default=True, help="Why, for the list.")
def pause(destination_id: str, reason: str) -> None:
    """Send nothing until it is resumed; what it lacks is kept for a month."""
    with _engine() as engine:
        _known(engine, destination_id)
        with engine.begin() as connection:
            tables.pause(connection, destination_id, reason)
    click.echo(f"{destination_id} is paused.")


@destinations.command()
@_ID
def resume(destination_id: str) -> None:
    """Go on, at once, with everything that it lacks."""
    with _engine() as engine:
        _known(engine, destination_id)
        with engine.begin() as connection:
            tables.resume(connection, destination_id)
    click.echo(f"{destination_id} is told again.")


@destinations.command()
@_ID
@click.option("--since", type=When(), help="Written since then: 2h, 1d, or a time in ISO 8601.")
@click.option("--user", "user_id", metavar="U", help="Only of this user.")
@_TYPES
def resend(
    destination_id: str, since: datetime | None, user_id: str | None, types: tuple[str, ...]
) -> None:
    """Send kept messages once more, each with the id and version that it had."""
    with _engine() as engine:
        _known(engine, destination_id)
        count = hearing.resend(engine, destination_id, since=since, types=types, user_id=user_id)
    click.echo(f"{count:,} messages are told once more.")


@destinations.command()
@_ID
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(destination_id: str, *, yes: bool) -> None:
    """Forget a destination, its secret, and what it still lacks."""
    with _engine() as engine:
        destination = _known(engine, destination_id)
        if not yes:
            click.confirm(f"Forget {destination.url} for good?", abort=True)
        with engine.begin() as connection:
            tables.remove(connection, destination_id)
    click.echo(f"{destination_id} is removed.")


def state_of(destination: Destination) -> str:
    """How a destination stands, in words."""
    if destination.paused_why:
        return f"paused: {destination.paused_why}"
    if destination.failures:
        since = f"{destination.failing_seconds / 60:.0f} min"
        return f"failing for {since}: {destination.last_error}"
    return "well"


@contextmanager
def _engine() -> Iterator[Engine]:
    configured = settings.load(needs=("database_url",))
    engine = make_engine(configured, pool_size=1, application_name="fiko-destinations")
    try:
        yield engine
    except BillingError as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.dispose()


def _known(engine: Engine, destination_id: str) -> Destination:
    with engine.connect() as connection:
        destination = tables.find(connection, destination_id)
    if destination is None:
        raise BillingError(f"There is no destination {destination_id}; see `destinations list`.")
    return destination
