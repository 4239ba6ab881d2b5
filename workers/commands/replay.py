"""`replay`: run stored events again, after a bug is mended or to see what that would change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Engine

import settings
from db.engine import make_engine
from db.operations.replay import Selection
from db.queue import inbox
from domain.events import EventStatus
from workers.commands.options import When, asked_for, request
from workers.commands.progress import progress
from workers.operations.replay import Change, Replay, Replayed
from workers.questions import own_account

_UNFINISHED = (EventStatus.FAILED.value, EventStatus.DEAD.value)
# A selection may have to read the whole inbox.
STATEMENT_TIMEOUT_MS = 60_000


@dataclass(frozen=True, slots=True)
class _Output:
    """How results are told; dry runs say what would be, in lines or as JSON."""

    as_json: bool
    is_dry: bool


@click.command()
@click.option("--event", "event_ids", metavar="ID", multiple=True, help="These; more may follow.")
@click.option("--failed", is_flag=True, help="Every event that failed or is dead.")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice([each.value for each in EventStatus])
)
@click.option("--type", "event_type", metavar="T", help="Every event of this type.")
@click.option("--since", type=When(), help="Every event received since: 3d, 12h, 2026-11-23T10:00.")
@click.option("--user", "user_id", metavar="U", help="Every event about this user.")
@click.option("--all", "is_all", is_flag=True, help="Every event there is.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would change.")
@click.option(
    "--limit-rate",
    "events_per_second",
    type=click.FloatRange(min=0, min_open=True),
    metavar="R",
    help="At most R events a second.",
)
@asked_for
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.argument("more_ids", metavar="[ID]...", nargs=-1)
def replay(
    event_ids: tuple[str, ...],
    *,
    failed: bool,
    statuses: tuple[str, ...],
    event_type: str | None,
    since: datetime | None,
    user_id: str | None,
    is_all: bool,
    is_dry: bool,
    events_per_second: float | None,
    by: str | None,
    reason: str | None,
    as_json: bool,
    more_ids: tuple[str, ...],
) -> None:
    """Run stored events again; several choices narrow each other. Exit 1 if any fails again.

    An applied event has no second effect. Events of paused types are left out unless they are
    chosen by id or by type.
    """
    if more_ids and not event_ids:
        raise click.UsageError(f"What is {more_ids[0]}? Event ids come after --event.")
    selection = Selection(
        event_ids=event_ids + more_ids,
        statuses=statuses + (_UNFINISHED if failed else ()),
        event_type=event_type,
        since=since,
        user_id=user_id,
    )
    if (selection == Selection()) is not is_all:
        raise click.UsageError(
            "Choose events (--event, --failed, --type, …), or --all and no other."
        )
    output = _Output(as_json, is_dry)
    done, changes = _run(selection, by, reason, output, events_per_second)
    _tell(done, changes, output)
    if done.failed:
        raise SystemExit(1)


def _run(
    selection: Selection,
    by: str | None,
    reason: str | None,
    output: _Output,
    events_per_second: float | None,
) -> tuple[Replayed, list[Change]]:
    configured = settings.load(needs=("database_url",))
    engine = make_engine(
        configured,
        pool_size=2,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        application_name="fiko-replay",
    )
    changes: list[Change] = []

    def report(change: Change) -> None:
        if output.as_json:
            changes.append(change)
        else:
            click.echo(_line(change))

    try:
        _check_ids(engine, selection)
        work = Replay(
            engine,
            can_ask=configured.stripe_enabled and bool(configured.stripe_secret_key),
            test_mode=configured.stripe_test_mode,
            own_account=own_account.read(configured, engine),
            retry_delays_seconds=configured.retry_delays_seconds,
        )
        who = request(by, reason)
        with progress("rehearsing" if output.is_dry else "replaying") as show:
            if output.is_dry:
                return work.rehearse(selection, who, show, report), changes
            return work.run(selection, who, show, events_per_second=events_per_second), changes
    finally:
        engine.dispose()


def _check_ids(engine: Engine, selection: Selection) -> None:
    with engine.connect() as connection:
        stored = inbox.known(connection, selection.event_ids)
    unknown = [event_id for event_id in selection.event_ids if event_id not in stored]
    if unknown:
        raise click.ClickException(f"Not in the inbox: {', '.join(unknown)}. Nothing was replayed.")


def _tell(done: Replayed, changes: list[Change], output: _Output) -> None:
    if output.as_json:
        click.echo(json.dumps(_plain(done, changes, output)))
        return
    for event_id, error in done.failures:
        click.echo(f"{click.style(event_id, fg='red')}  {error.splitlines()[0]}")
    total = sum(done.statuses.values())
    parts = ", ".join(f"{number:,} {status}" for status, number in sorted(done.statuses.items()))
    head = f"{total:,} {'event' if total == 1 else 'events'}"
    if output.is_dry:
        click.echo(f"{head} would be replayed: {parts or 'none'}. Nothing was changed.")
    else:
        posted = f"{done.entries:,} ledger {'entry' if done.entries == 1 else 'entries'} posted"
        click.echo(f"{head} replayed: {parts or 'none'}; {posted}.")


def _plain(done: Replayed, changes: list[Change], output: _Output) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "dry_run": output.is_dry,
        "events": sum(done.statuses.values()),
        "statuses": dict(done.statuses),
        "ledger_entries": done.entries,
        "failures": [{"id": event_id, "error": error} for event_id, error in done.failures],
    }
    if output.is_dry:
        plain["changes"] = [
            {"kind": change.kind, "id": change.id, "before": change.before, "after": change.after}
            for change in changes
        ]
    return plain


def _line(change: Change) -> str:
    head = f"{change.kind} {click.style(change.id, bold=True)}"
    if change.before is None:
        return f"{head}  new: {_values(change.after or {})}"
    after = change.after
    if after is None:
        return f"{head}  no longer there"
    moved = (
        f"{name} {_value(value)} → {_value(after.get(name))}"
        for name, value in change.before.items()
        if value != after.get(name)
    )
    return f"{head}  {', '.join(moved)}"


def _values(shown: Mapping[str, Any]) -> str:
    set_values = {name: value for name, value in shown.items() if value not in (None, False, [])}
    return ", ".join(f"{name} {_value(value)}" for name, value in set_values.items())


def _value(value: object) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value)
