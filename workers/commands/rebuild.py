"""`rebuild`: make the tables what the stored events say under the code of today.

What would change goes to stdout before anything is changed; progress goes to stderr.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import click

import settings
from db.engine import make_engine
from db.operations.differences import WHOLE_ROW, Difference
from domain.errors import BillingError
from workers.commands.progress import Show, progress
from workers.commands.tables import console, table
from workers.operations.rebuild import Proposal, Rebuilt, Steps
from workers.operations.rebuild import rebuild as run_rebuild
from workers.pipeline.prepared_event import prepare
from workers.questions import own_account

# So many rows of each kind are shown one by one; the others are counted.
ROWS_SHOWN_MAX = 40
# Events of a type that was not handled before may be as many as there are sales.
EVENTS_SHOWN_MAX = 5
# What people look at, in this order, and what it is called.
_SHOWN = {
    "payments": "payment",
    "token_accounts": "balance",
    "subscriptions": "subscription",
    "customers": "customer",
}
_LENGTH_MAX = 80


@click.command()
@click.option("--user", "user_id", metavar="U", help="Only what is this user's.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would change.")
@click.option("--yes", is_flag=True, help="Do not ask before changing anything.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; never asks.")
def rebuild(user_id: str | None, *, is_dry: bool, yes: bool, as_json: bool) -> None:
    """Derive everything anew from the stored events, and post what the ledger lacks.

    The cure for a decoder that said something wrong: facts are overwritten, the ledger only
    grows. Works beside a running system; broken off, a second run goes on. Exit 1 if anything
    still differs.
    """

    def agree(proposal: Proposal) -> bool:
        if not as_json:
            _show(proposal)
        if is_dry:
            return False
        if yes or as_json or not sys.stdin.isatty():
            return True
        return click.confirm("Change this?")

    rebuilt = _run(user_id, agree)
    if as_json:
        click.echo(json.dumps(_plain(rebuilt, is_dry=is_dry)))
    else:
        click.echo(_verdict(rebuilt, is_dry=is_dry))
    if not (is_dry or rebuilt.is_done or rebuilt.rounds == 0):
        raise SystemExit(1)


def _run(user_id: str | None, agree: Callable[[Proposal], bool]) -> Rebuilt:
    configured = settings.load(needs=("database_url",))
    engine = make_engine(
        configured,
        pool_size=2,
        application_name="fiko-rebuild",
    )
    bars = _Bars()
    try:
        steps = Steps(bars.shown("recomputing"), bars.shown("rebuilding"), bars.without(agree))
        read = partial(prepare, own_account=own_account.read(configured, engine))
        mode = configured.stripe_test_mode
        return run_rebuild(engine, steps, user_id=user_id, read=read, test_mode=mode)
    except BillingError as error:
        raise click.ClickException(str(error)) from error
    finally:
        bars.close()
        engine.dispose()


class _Bars:
    """One progress bar at a time, and none while a person is asked."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._doing = ""
        self._show: Show | None = None

    def shown(self, doing: str) -> Show:
        """Progress of one kind of work; it takes the place of the one before."""

        def show(done: int, total: int) -> None:
            if self._show is None or self._doing != doing:
                self.close()
                self._doing, self._show = doing, self._stack.enter_context(progress(doing))
            self._show(done, total)

        return show

    def without(self, agree: Callable[[Proposal], bool]) -> Callable[[Proposal], bool]:
        """The same question, asked when no bar is drawn."""

        def ask(proposal: Proposal) -> bool:
            self.close()
            return agree(proposal)

        return ask

    def close(self) -> None:
        """Take the bar away."""
        self._stack.close()
        self._show = None


def _show(proposal: Proposal) -> None:
    for name, kind in _SHOWN.items():
        changes = [change for change in proposal.changes if change.table == name]
        if changes:
            _show_kind(kind, changes)
    rest = Counter(change.table for change in proposal.changes if change.table not in _SHOWN)
    if rest:
        counts = ", ".join(f"{name} {number:,}" for name, number in sorted(rest.items()))
        click.echo(f"behind these, rows that differ: {counts}")
    if proposal.rows:
        click.echo(f"{proposal.rows:,} rows would be written, also those that only differ inside.")
    for event_id, reason in list(proposal.ignored.items())[:ROWS_SHOWN_MAX]:
        click.echo(f"event {event_id} would be ignored: {reason}")
    if len(proposal.ignored) > ROWS_SHOWN_MAX:
        click.echo(f"and {len(proposal.ignored) - ROWS_SHOWN_MAX:,} more events")
    for event_id in list(proposal.heard)[:EVENTS_SHOWN_MAX]:
        click.echo(f"event {event_id} was ignored and would be applied")
    if len(proposal.heard) > EVENTS_SHOWN_MAX:
        click.echo(f"and {len(proposal.heard) - EVENTS_SHOWN_MAX:,} more events")
    if proposal.lasting:
        click.echo(
            f"{proposal.lasting:,} ledger entries have a wrong running balance; the ledger is never"
            " rewritten, so they stay."
        )


def _show_kind(kind: str, changes: Sequence[Difference]) -> None:
    shown = table((kind, "what", "before", "after"), wrapped=("before", "after"))
    for change in changes[:ROWS_SHOWN_MAX]:
        for what, (before, after) in change.columns.items():
            shown.add_row(change.id, _what(what), _value(before), _value(after))
    console().print(shown)
    if len(changes) > ROWS_SHOWN_MAX:
        click.echo(f"and {len(changes) - ROWS_SHOWN_MAX:,} more")


def _what(column: str) -> str:
    return "the row" if column == WHOLE_ROW else column


def _value(value: object) -> str:
    if value is None:
        return "nothing"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _LENGTH_MAX else f"{shown[:_LENGTH_MAX]}…"


def _verdict(rebuilt: Rebuilt, *, is_dry: bool) -> str:
    if rebuilt.is_done and rebuilt.rounds == 0:
        return "Nothing to rebuild: the tables are what the events make them."
    if rebuilt.rounds == 0:
        return "Nothing was changed." if is_dry else "Nothing was changed, as you said."
    entries = f"{rebuilt.entries:,} ledger {'entry' if rebuilt.entries == 1 else 'entries'} posted"
    ignored = f", {rebuilt.ignored:,} events ignored from now on" * bool(rebuilt.ignored)
    ignored += f", {rebuilt.heard:,} ignored events applied" * bool(rebuilt.heard)
    if rebuilt.is_done:
        return f"Rebuilt: {entries}{ignored}; the tables are what the events make them."
    return (
        f"{entries}{ignored}. {rebuilt.remaining:,} parts still differed when it was looked last:"
        " run it again."
    )


def _plain(rebuilt: Rebuilt, *, is_dry: bool) -> dict[str, Any]:
    return {
        "dry_run": is_dry,
        "changes": [
            {
                "table": change.table,
                "id": change.id,
                "column": what or None,
                "before": b,
                "after": a,
            }
            for change in rebuilt.proposal.changes
            for what, (b, a) in change.columns.items()
        ],
        "rows": rebuilt.proposal.rows,
        "ignored": dict(rebuilt.proposal.ignored),
        "heard": sorted(rebuilt.proposal.heard),
        "done": rebuilt.is_done,
        "ledger_entries": rebuilt.entries,
        "events_ignored": rebuilt.ignored,
        "events_heard": rebuilt.heard,
        "remaining": rebuilt.remaining,
    }
