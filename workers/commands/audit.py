"""`audit`: whether the tables are what the stored events make them.

Differences and the verdict go to stdout, progress to stderr.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

import settings
from db.engine import make_engine
from db.operations import redis_seen
from db.operations.differences import WHOLE_ROW
from db.operations.redis_seen import Change
from workers.operations.audit import Finding, Verdict
from workers.operations.audit import audit as run_audit
from workers.questions.own_account import read as read_own_account

# In a pipe progress is a line now and then.
_LINE_EVERY_SECONDS = 10.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def audit(*, as_json: bool) -> None:
    """Recompute everything from the stored events and compare; exit 1 on any difference.

    Works beside a running system and changes nothing.
    """
    configured = settings.load(needs=("database_url",))
    engine = make_engine(configured, pool_size=1, application_name="fiko-audit")
    printer = _Json() if as_json else _Lines()
    try:
        with _progress() as progress:
            own = read_own_account(configured, engine)
            verdict = run_audit(
                engine,
                printer.finding,
                progress,
                own_account=own,
                test_mode=configured.stripe_test_mode,
            )
        with engine.connect() as connection:
            change = redis_seen.last_change(connection)
    finally:
        engine.dispose()
    printer.verdict(verdict, change)
    if not verdict.is_clean:
        raise SystemExit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        yield _SparseLines().show
        return
    # Differences must not be drawn over on a terminal, nor end on stderr when stdout is a file.
    is_shared = sys.stdout.isatty()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=is_shared,
    ) as bar:
        task = bar.add_task("recomputing")
        yield lambda done, total: bar.update(
            task, completed=done, total=total, description=_phase(done, total)
        )


def _phase(done: int, total: int) -> str:
    return "recomputing" if done < total else "comparing"


class _SparseLines:
    """Progress for a pipe or a log."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_EVERY_SECONDS

    def show(self, done: int, total: int) -> None:
        """Say how far it is, if nothing was said for a while or everything is recomputed."""
        if done == total or time.monotonic() >= self._next:
            click.echo(f"{_phase(done, total)}: {done:,} of {total:,} events", err=True)
            self._next = time.monotonic() + _LINE_EVERY_SECONDS


class _Lines:
    """For people: a line per difference, the events behind a row beneath it."""

    def finding(self, finding: Finding) -> None:
        """Print one row's differences as they are found."""
        different = finding.difference
        for column, (live, again) in different.columns.items():
            place = " ".join(filter(None, (different.table, different.id, column)))
            click.echo(
                f"{click.style(place, fg='red')}: is {_value(live)}, must be {_value(again)}"
            )
            if column == WHOLE_ROW and live is None:
                click.echo("    the row is missing")
            elif column == WHOLE_ROW and again is None:
                click.echo("    no stored event calls for this row")
        click.echo(f"    events: {_events(finding)}")

    def verdict(self, verdict: Verdict, change: Change | None) -> None:
        """Print the last lines."""
        counts = verdict.counts
        rate = counts.applied / max(verdict.seconds, 0.001)
        if verdict.is_clean:
            head = click.style("Clean", fg="green") + ": no difference"
        else:
            number = verdict.differences
            head = click.style(f"{number:,} difference{'s'[: number != 1]}", fg="red")
        recomputed = f"{counts.applied:,} events recomputed in {verdict.seconds:.1f} s"
        click.echo(f"{head}; {recomputed} ({rate:,.0f} a second).")
        if counts.waiting or counts.dead:
            click.echo(
                f"{counts.waiting:,} events wait and {counts.dead:,} are dead;"
                " they have had no effect on either side."
            )
        click.echo(f"What was answered and never stored cannot be seen here{_changed(change)}.")


def _changed(change: Change | None) -> str:
    """Whether it may be missing, and who looks for it."""
    if change is None:
        return "; `reconcile` asks Stripe for it"
    since = f"another Redis took over at {change.at:%Y-%m-%d %H:%M} UTC"
    if change.is_reread:
        return f"; {since}, and Stripe's list of events was read since"
    return f"; {since}, and Stripe's list of events is still to be read (`reconcile`)"


def _value(value: object) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _events(finding: Finding) -> str:
    named = ", ".join(finding.events) or "none are stored"
    more = finding.events_total - len(finding.events)
    return f"{named} and {more:,} more" if more else named


class _Json:
    """For programs: one object, written as it grows, so a long list takes no memory."""

    def __init__(self) -> None:
        self._before = '{"differences": ['

    def finding(self, finding: Finding) -> None:
        """Write one row's differences."""
        for record in _records(finding):
            click.echo(f"{self._before}\n{json.dumps(record)}", nl=False)
            self._before = ","

    def verdict(self, verdict: Verdict, change: Change | None) -> None:
        """Write the rest of the object."""
        if self._before != ",":
            click.echo(self._before, nl=False)
        rest = {
            "clean": verdict.is_clean,
            "difference_count": verdict.differences,
            "events": verdict.counts.applied,
            "waiting": verdict.counts.waiting,
            "dead": verdict.counts.dead,
            "seconds": round(verdict.seconds, 3),
            "redis_changed_at": change.at.isoformat() if change else None,
            "is_reread": change is None or change.is_reread,
        }
        click.echo(f"], {json.dumps(rest)[1:]}")


def _records(finding: Finding) -> Iterator[dict[str, Any]]:
    different = finding.difference
    for column, (live, again) in different.columns.items():
        yield {
            "table": different.table,
            "id": different.id,
            "column": column or None,
            "live": live,
            "recomputed": again,
            "events": list(finding.events),
            "events_total": finding.events_total,
        }
