"""`events`: lists and shows the inbox, and pauses types of events."""

import difflib
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
from zstandard import ZstdError

import settings
from db.bodies import UnknownDictionaryError
from db.engine import make_engine
from db.operations import loose_ends
from db.questions import notices, questions
from db.queue import attempts, inbox_reads, pauses
from domain.decode import DECODERS
from domain.events import EventStatus
from workers.commands.groups import suggesting
from workers.commands.options import asked_for, request
from workers.operations.wording import money_in

_COLOURS = {"applied": "green", "ignored": "dim", "received": "cyan", "failed": "yellow"}
_DONE = {
    "grant": "granted",
    "reversal": "reversed",
    "restore": "restored",
    "adjustment": "adjusted",
}
# A pipe has no width of its own; rows must not be cut there.
_PIPE_WIDTH = 200


@contextmanager
def _database() -> Iterator[Connection]:
    configured = settings.load(needs=("database_url",))
    engine = make_engine(configured, pool_size=1, application_name="fiko-events")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@suggesting(invoke_without_command=True)
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
    """List the inbox, newest first.

    `events show ID` shows one event; `events pause TYPE` lets a failing type wait, `events resume
    TYPE` ends that.
    """
    if context.invoked_subcommand is not None:
        return
    with _database() as connection:
        rows = inbox_reads.listed(
            connection, status=status, event_type=event_type, user_id=user_id, limit=limit
        )
        counts, loose = inbox_reads.counts(connection), loose_ends.counts(connection)
        waiting = pauses.listed(connection)
    if as_json:
        for row in rows:
            click.echo(json.dumps(_plain(row)))
        return
    _console().print(_listing(rows))
    total = "  ".join(f"{counts.get(status.value, 0)} {status.value}" for status in EventStatus)
    click.echo(total)
    for kind, number in loose.items():
        if number:
            click.echo(f"{number} {loose_ends.WORDS[kind]}")
    for pause in waiting:
        _show_pause(pause)


@events.command()
@click.argument("event_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(event_id: str, *, as_json: bool) -> None:
    """Show one event: what became of it, its effects and its payload."""
    with _database() as connection:
        row = inbox_reads.one(connection, event_id)
        if row is None:
            raise click.ClickException(f"There is no event {event_id} in the inbox.")
        body, unreadable = _body(connection, event_id)
        effects = inbox_reads.effects(connection, event_id)
        others = () if effects else inbox_reads.effects_of_payments(connection, money_in(body))
        tries = attempts.of(connection, event_id)
        asked = questions.of_subject(connection, row.object_id or "")
        if waits := notices.of_event(connection, event_id):
            asked.append(waits)
    if as_json:
        details = {
            "attempts_kept": [_plain(item) for item in tries],
            "effects": [_plain(item) for item in effects],
            "payment_effects": [_plain(item) for item in others],
            "payload": body,
            "unreadable": unreadable,
            "waits_for": asked,
        }
        click.echo(json.dumps(_plain(row) | details))
        return
    _show_facts(row)
    _show_attempts(tries)
    _show_effects(effects, others)
    for item in asked:
        click.echo(f"{click.style('waits for', bold=True)}  {item}")
    click.secho("payload", bold=True)
    if unreadable:
        raise click.ClickException(f"The payload cannot be read: {unreadable}.")
    _console().print_json(orjson.dumps(body).decode())


def _body(connection: Connection, event_id: str) -> tuple[Any, str | None]:
    """The payload of an event; where it cannot be read, nothing and the reason."""
    try:
        return orjson.loads(inbox_reads.body(connection, event_id) or b"null"), None
    except UnknownDictionaryError as error:
        return None, str(error)
    except (ZstdError, orjson.JSONDecodeError) as error:
        reason = "it is damaged" if isinstance(error, ZstdError) else "it is not JSON"
        return None, f"{reason}; take it from a backup, or fetch it with `reconcile`"


@events.command()
@click.argument("event_type", metavar="TYPE")
@asked_for
def pause(event_type: str, by: str | None, reason: str | None) -> None:
    """Keep events of a type, and do not apply them until the type is resumed."""
    if event_type not in DECODERS:
        near = difflib.get_close_matches(event_type, DECODERS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise click.ClickException(f"{event_type} is no type that has an effect.{hint}")
    who = request(by, reason)
    with _database() as connection:
        is_new = pauses.pause(connection, event_type, by=who.by, reason=who.reason)
    click.echo(
        f"{event_type} is paused: its events wait for `events resume {event_type}`."
        if is_new
        else f"{event_type} was paused already."
    )


@events.command()
@click.argument("event_type", metavar="TYPE")
def resume(event_type: str) -> None:
    """End a pause: the events that waited are applied within seconds."""
    with _database() as connection:
        released = pauses.resume(connection, event_type)
    if released is None:
        raise click.ClickException(f"{event_type} is not paused.")
    click.echo(f"{event_type} is resumed; {released:,} events are due now.")


def _show_pause(pause: Row[Any]) -> None:
    since = f"since {pause.paused_at:%Y-%m-%d %H:%M:%S} by {pause.paused_by}"
    why = f" ({pause.reason})" if pause.reason else ""
    paused = click.style(f"paused: {pause.type}", fg="yellow")
    click.echo(f"{paused} {since}{why}; {pause.waiting:,} events wait")


def _show_attempts(tries: Sequence[Row[Any]]) -> None:
    if not tries:
        return
    click.secho("attempts", bold=True)
    for attempt in tries:
        asked = f" by {attempt.asked_by}" if attempt.asked_by else ""
        why = f" ({attempt.reason})" if attempt.reason else ""
        click.echo(
            f"  {attempt.at:%Y-%m-%d %H:%M:%S}  {attempt.cause}{asked}{why}: {attempt.status}"
        )
        if attempt.error:
            click.echo(f"    {attempt.error.splitlines()[0]}")
        for line in (attempt.traceback or "").splitlines():
            click.echo(click.style(f"    {line}", dim=True))


def _show_facts(row: Row[Any]) -> None:
    for name, value in _plain(row).items():
        if value is not None:
            click.echo(f"{click.style(name.ljust(16), bold=True)} {value}")


def _show_effects(effects: Sequence[Row[Any]], others: Sequence[Row[Any]]) -> None:
    click.secho("effects", bold=True)
    if not effects:
        click.echo("  no ledger entries" + (" of its own; its payment was" if others else ""))
    for effect in others:
        cause = effect.event_id or "no event (payments were valued anew)"
        click.echo(
            f"  {_DONE[effect.kind]} with {cause}: {effect.delta:+d} tokens  user {effect.user_id}"
            f"  balance {effect.balance_after}  ({effect.reason})"
        )
    for effect in effects:
        click.echo(
            f"  {effect.delta:+d} tokens  {effect.kind}  user {effect.user_id}"
            f"  balance {effect.balance_after}  ({effect.reason})"
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
