"""`sync_stripe_products`: makes Stripe sell what the catalogue says, and links the two.

The plan and what came of it go to stdout; nothing is changed before the plan is shown.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click
from rich.text import Text

from db.engine import make_engine
from domain.catalogue.plans import Plan
from domain.modes import WrongModeError
from domain.money import money
from domain.stripe_catalogue.actions import Action, Do, SyncPlan
from stripe_gateway import StripeUnavailable
from workers.commands.connected import connected
from workers.commands.tables import console, table
from workers.operations.catalogue_sync import CatalogueSync, Done, stripe_problem
from workers.operations.wording import per

_MARKS = {
    Do.CREATE_PRODUCT: ("+", "green"),
    Do.CREATE_PRICE: ("+", "green"),
    Do.ARCHIVE_PRICE: ("-", "red"),
}
_CHANGE = ("~", "yellow")
_TYPES = ("all", "full", "token")


@click.command()
@click.option("--plan-type", type=click.Choice(_TYPES), default="all", show_default=True)
@click.option("--dry-run", "is_dry", is_flag=True, help="Only show what would be done.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def sync_stripe_products(plan_type: str, *, is_dry: bool, as_json: bool) -> None:
    """Create or update Stripe's products and prices for each plan, and link them.

    A second run changes nothing. Exit 1 when something could not be done; run again then.
    """
    configured, gateway = connected()
    engine = make_engine(
        configured,
        pool_size=1,
        application_name="fiko-sync-products",
    )
    sync = CatalogueSync(engine, gateway, configured.stripe_test_mode)
    printer = _Json(is_dry=is_dry) if as_json else _Lines(is_dry=is_dry)
    try:
        planned = sync.plan(None if plan_type == "all" else plan_type)
        printer.plan(planned)
        for done in () if is_dry else sync.carry_out(planned):
            printer.done(done)
    except WrongModeError as error:
        raise click.ClickException(f"{error} No further change was made.") from error
    except StripeUnavailable as error:
        raise click.ClickException(
            f"Stripe could not be asked: {stripe_problem(error)}."
        ) from error
    finally:
        engine.dispose()
    printer.summary()
    if printer.failed:
        raise SystemExit(1)


class _Lines:
    """For people: the plan as a table, then a line for each thing that is done."""

    def __init__(self, *, is_dry: bool) -> None:
        self.failed = 0
        self._is_dry = is_dry
        self._planned: Sequence[Action] = ()
        self._done = 0

    def plan(self, planned: SyncPlan) -> None:
        """What will be done, and what is left to a person."""
        self._planned = planned.actions
        if planned.actions:
            rows = table(("", "plan", "what", "which", "to", "why"), wrapped=("why",))
            for action in planned.actions:
                mark, colour = _MARKS.get(action.do, _CHANGE)
                words = (str(action.plan.id), action.do.value, _which(action), _to(action))
                rows.add_row(
                    Text(mark, style=colour), *map(Text, words), Text("; ".join(action.why))
                )
            console().print(rows)
        for remark in planned.remarks:
            click.echo(f"{click.style('!', fg='yellow')} {remark}")

    def done(self, done: Done) -> None:
        """One action, as soon as it is done or failed."""
        self._done += 1
        place = f"[{self._done}/{len(self._planned)}] plan {done.action.plan.id}"
        if done.problem:
            self.failed += 1
            mark, end = click.style("failed", fg="red"), f": {done.problem}"
        else:
            mark, end = click.style("done", fg="green"), f" {done.id}"
        click.echo(f"{place}  {mark}  {done.action.do}{end}")

    def summary(self) -> None:
        """The last line."""
        number = len(self._planned)
        if not number:
            click.echo("Nothing to do.")
        elif self._is_dry:
            click.echo(f"{_counted(self._planned)}; nothing was changed.")
        elif self.failed:
            click.echo(f"{number - self.failed} of {number} done; run again for the rest.")
        else:
            click.echo(f"Done: {_counted(self._planned)}.")


class _Json:
    """For programs: one object at the end."""

    def __init__(self, *, is_dry: bool) -> None:
        self.failed = 0
        self._is_dry = is_dry
        self._planned = SyncPlan((), ())
        self._done: list[Done] = []

    def plan(self, planned: SyncPlan) -> None:
        """Keep it."""
        self._planned = planned

    def done(self, done: Done) -> None:
        """Keep it."""
        self._done.append(done)
        self.failed += done.problem is not None

    def summary(self) -> None:
        """Write the object."""
        results = [{"id": done.id, "problem": done.problem} for done in self._done]
        plain = [_plain(action) for action in self._planned.actions]
        told_too = results or [{} for _ in plain]
        click.echo(
            json.dumps(
                {
                    "dry_run": self._is_dry,
                    "actions": [a | b for a, b in zip(plain, told_too, strict=True)],
                    "remarks": list(self._planned.remarks),
                    "failed": self.failed,
                }
            )
        )


def _plain(action: Action) -> dict[str, Any]:
    return {
        "do": action.do.value,
        "plan_id": action.plan.id,
        "plan_version": action.plan.version,
        "target_id": action.target_id,
        "currency": action.currency,
        "params": dict(action.params),
        "why": list(action.why),
    }


def _which(action: Action) -> str:
    currency = f" ({action.currency})" if action.currency else ""
    return f"{action.target_id or 'new'}{currency}"


def _to(action: Action) -> str:
    if action.do is Do.CREATE_PRICE and action.currency:
        return _price(action.plan, action.currency)
    return action.plan.name if action.do is Do.CREATE_PRODUCT else ""


def _price(plan: Plan, currency: str) -> str:
    return f"{money(plan.prices[currency], currency)}{per(plan.period)}"


def _counted(actions: Sequence[Action]) -> str:
    counts = Counter(action.do for action in actions)
    return ", ".join(f"{number} \N{MULTIPLICATION SIGN} {do}" for do, number in counts.items())
