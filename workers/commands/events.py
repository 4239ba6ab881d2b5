"""`events`: the inbox as an operator reads it."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection, Row

import db.events
import settings
from db.engine import make_engine
from domain.events import EventStatus

_COLOURS = {"applied": "green", "ignored": "dim", "received": "cyan", "failed": "yellow"}
# A pipe has no width of its own; rows must not be cut there.
_PIPE_WIDTH = 200


@contextmanager
def _database() -> Iterator[Connection]:
    found = settings.load(needs=("database_url",))
    engine = make_engine(found.database_url, pool_size=1, application_name="fiko-events")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@click.group(invoke_without_command=True)
@click.option("--status", type=click.Choice([status.value for status in EventStatus]))
@click.option("--type", "event_type", metavar="T", help="Only events of this type.")
@click.option("--user", "user_id", metavar="U", help="Only events about this user.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def events(
    context: click.Context,
    status: str | None,
    event_type: str | None,
    user_id: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List the inbox, newest first; `events show ID` shows one event."""
    if context.invoked_subcommand is not None:
        return
    with _database() as connection:
        rows = db.events.listed(
            connection, status=status, event_type=event_type, user_id=user_id, limit=limit
        )
        counts, unlinked = db.events.counts(connection), db.events.unlinked(connection)
    if as_json:
        for row in rows:
            click.echo(json.dumps(_plain(row)))
        return
    _console().print(_listing(rows))
    total = "  ".join(f"{counts.get(each.value, 0)} {each.value}" for each in EventStatus)
    click.echo(f"{total}  |  {unlinked} paid payments lack a user or a plan")


@events.command()
@click.argument("event_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(event_id: str, *, as_json: bool) -> None:
    """Show one event: what became of it, its effects and its payload."""
    with _database() as connection:
        row = db.events.one(connection, event_id)
        if row is None:
            raise click.ClickException(f"There is no event {event_id} in the inbox.")
        body = orjson.loads(db.events.body(connection, event_id) or b"null")
        effects = db.events.effects(connection, event_id)
    if as_json:
        shown = _plain(row) | {"effects": [_plain(each) for each in effects], "payload": body}
        click.echo(json.dumps(shown))
        return
    _show_facts(row)
    _show_effects(effects)
    click.secho("payload", bold=True)
    _console().print_json(orjson.dumps(body).decode())


def _show_facts(row: Row[Any]) -> None:
    for name, value in _plain(row).items():
        if value is not None:
            click.echo(f"{click.style(name.ljust(16), bold=True)} {value}")


def _show_effects(effects: Sequence[Row[Any]]) -> None:
    click.secho("effects", bold=True)
    if not effects:
        click.echo("  no ledger entries")
    for each in effects:
        click.echo(
            f"  {each.delta:+d} tokens  {each.kind}  user {each.user_id}"
            f"  balance {each.balance_after}  ({each.reason})"
        )


def _listing(rows: Sequence[Row[Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("event", "type", "status", "received", "tries", "about", "why"):
        table.add_column(heading, no_wrap=heading != "why")
    for row in rows:
        colour = _COLOURS.get(row.status, "red")
        table.add_row(
            Text(row.id),
            Text(row.type),
            Text(row.status, style=colour),
            f"{row.received_at:%Y-%m-%d %H:%M:%S}",
            str(row.attempts),
            Text(row.user_id or row.customer_id or row.object_id or ""),
            Text(row.error or row.note or ""),
        )
    return table


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH, no_color=True)


def _plain(row: Row[Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row._mapping.items()  # noqa: SLF001 - SQLAlchemy's public name for it.
    }
