"""`reconcile`: fetch from Stripe what never arrived, and send it through the pipeline."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from rich.console import Console

import celery_config
from db.engine import make_engine
from settings import Settings
from stripe_gateway import StripeUnavailable
from workers.commands.connected import connected
from workers.commands.options import When, asked_for, request
from workers.schedule.reconcile import LISTED_SECONDS, LookedBack, Missing, look_back


@click.command()
@click.option(
    "--since", type=When(), help="How far back: 3d, 12h, 2026-11-23  [default: the last time]"
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Only list what is missing.")
@asked_for
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def reconcile(
    since: datetime | None,
    *,
    is_dry: bool,
    by: str | None,
    reason: str | None,
    as_json: bool,
) -> None:
    """Store the events that Stripe lists and the inbox lacks; the workers apply them.

    Stripe lists 30 days. Without --since it is read back to where the last reading began.
    """
    configured, gateway = connected()
    start = int(since.timestamp()) if since else None
    if start is not None and start < datetime.now(UTC).timestamp() - LISTED_SECONDS:
        click.echo("Stripe lists no more than the last 30 days.", err=True)
    printer = _Printer(as_json=as_json)
    engine = make_engine(configured, pool_size=1, application_name="fiko-reconcile")
    who = None if is_dry else request(by, reason)
    try:
        look_back(engine, gateway, printer.page, since=start, request=who)
    except StripeUnavailable as error:
        printer.summary(is_dry=is_dry)
        raise click.ClickException(f"{error} What is told above is all that was read.") from error
    finally:
        engine.dispose()
        printer.close()
        if printer.so_far.missing and not is_dry:
            _send_wake_up(configured)
    printer.summary(is_dry=is_dry)


def _send_wake_up(configured: Settings) -> None:
    if not configured.celery_broker_url:
        return
    app = celery_config.make_app(configured, publisher=True)
    try:
        app.send_task(celery_config.DRAIN, ignore_result=True)
    except (CeleryError, KombuError, OSError):
        click.echo("The broker does not answer: the next sweep applies them.", err=True)


class _Printer:
    """Prints missing events page by page; `so_far` holds all of them."""

    def __init__(self, *, as_json: bool) -> None:
        self.so_far = LookedBack()
        self._as_json = as_json
        is_shown = sys.stderr.isatty()
        self._status = Console(stderr=True).status("asking Stripe") if is_shown else None
        if self._status:
            self._status.start()

    def page(self, so_far: LookedBack, missing: Sequence[Missing]) -> None:
        """One page of the list was read."""
        self.so_far = so_far
        if self._status:
            self._status.update(f"{so_far.looked_at:,} events looked at")
        if not self._as_json:
            for event in missing:
                click.echo(f"{event.id}  {_when(event):%Y-%m-%d %H:%M:%S}  {event.type}")

    def close(self) -> None:
        """Take the moving line away."""
        if self._status:
            self._status.stop()

    def summary(self, *, is_dry: bool) -> None:
        """The last line, or the whole JSON object."""
        so_far = self.so_far
        if self._as_json:
            click.echo(json.dumps(_plain(so_far, is_dry=is_dry)))
            return
        number = len(so_far.missing)
        head = f"{number:,} of {so_far.looked_at:,} listed events had never arrived"
        types = ", ".join(
            f"{count:,} {name}"
            for name, count in Counter(event.type for event in so_far.missing).most_common()
        )
        end = "nothing was changed" if is_dry or not number else "they are stored, to be applied"
        click.echo(f"{head}{f' ({types})' if types else ''}; {end}.")


def _when(missing: Missing) -> datetime:
    return datetime.fromtimestamp(missing.created, UTC)


def _plain(so_far: LookedBack, *, is_dry: bool) -> dict[str, Any]:
    return {
        "dry_run": is_dry,
        "looked_at": so_far.looked_at,
        "missing": [
            {"id": event.id, "type": event.type, "created": _when(event).isoformat()}
            for event in so_far.missing
        ],
    }
