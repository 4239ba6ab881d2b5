"""`check_subscription_status`: compares our subscriptions with Stripe's, and repairs ours.

Differences and the verdict go to stdout, progress to stderr.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from db.checkout.second_plans import SecondPlan, second_plans
from db.engine import make_engine
from domain.modes import WrongModeError
from domain.money import money
from domain.subscriptions.comparison import Mismatch, Money
from stripe_gateway import StripeUnavailable
from workers.commands.connected import connected
from workers.commands.tables import console, table
from workers.operations.catalogue_sync import stripe_problem
from workers.operations.subscription_check import Checked, SubscriptionCheck
from workers.operations.wording import per

# So many rows are aligned with each other, so that a long list takes no memory.
_ROWS_MAX = 200
_HEADINGS = ("subscription", "user", "costs", "what", "here", "at Stripe", "")


@click.command()
@click.option("--dry-run", "is_dry", is_flag=True, help="Only show the differences.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check_subscription_status(*, is_dry: bool, as_json: bool) -> None:
    """Compare every subscription with Stripe's, show each difference, and repair ours.

    Users who pay for two full plans are named. Exit 1 if differences or such users remain.
    """
    configured, gateway = connected()
    engine = make_engine(configured, pool_size=1, application_name="fiko-check-status")
    printer = _Json(is_dry=is_dry) if as_json else _Lines(is_dry=is_dry)
    moving = _Moving()
    check = SubscriptionCheck(
        engine=engine,
        gateway=gateway,
        test_mode=configured.stripe_test_mode,
        repairs=not is_dry,
        report=printer.mismatch,
        progress=moving.show,
    )
    problem: str | None = None
    doubles: list[SecondPlan] = []
    try:
        check.run()
    except WrongModeError as error:
        problem = str(error)
    except StripeUnavailable as error:
        problem = (
            f"Stripe could not be asked: {stripe_problem(error)}."
            " What is shown is all that was compared."
        )
    else:
        with engine.connect() as connection:
            doubles = second_plans(connection)
    finally:
        engine.dispose()
        moving.close()
    printer.verdict(check.checked, doubles, problem)
    if problem and not as_json:
        raise click.ClickException(problem)
    if problem or check.checked.left or doubles:
        raise SystemExit(1)


class _Moving:
    """How many are compared, on a terminal."""

    def __init__(self) -> None:
        self._status = None
        if sys.stderr.isatty():
            self._status = Console(stderr=True).status("asking Stripe")
            self._status.start()

    def show(self, checked: Checked) -> None:
        """A page was compared."""
        if self._status:
            told_so_far = f"{checked.looked_at:,} compared, {checked.differing:,} differ"
            self._status.update(told_so_far)

    def close(self) -> None:
        """Take the moving line away."""
        if self._status:
            self._status.stop()


class _Lines:
    """For people: a row for each difference, aligned."""

    def __init__(self, *, is_dry: bool) -> None:
        self._is_dry = is_dry
        self._rows: list[Sequence[Text]] = []

    def mismatch(self, mismatch: Mismatch, is_left: bool) -> None:  # noqa: FBT001 - called by position, as its type says.
        """One subscription that differs."""
        word, colour = ("left", "red") if is_left else ("repaired", "green")
        end = Text("differs", style="yellow") if self._is_dry else Text(word, style=colour)
        first = (mismatch.id, mismatch.user_id or "nobody", _costs(mismatch.money))
        for difference in mismatch.differences:
            words = (
                *first,
                difference.what,
                difference.here or "nothing",
                difference.there or "nothing",
            )
            self._rows.append((*map(Text, words), end))
            # What is the same as in the row above is not repeated.
            first = ("", "", "")
        if len(self._rows) >= _ROWS_MAX:
            self._flush()

    def verdict(self, checked: Checked, doubles: Sequence[SecondPlan], problem: str | None) -> None:
        """Who pays for two plans, and the last line."""
        self._flush()
        for double in doubles:
            ids = double.subscription_ids
            click.echo(
                f"{double.user_id} pays for {len(ids)} full plans at once: {', '.join(ids)}."
                " Cancel what is not wanted at Stripe, and refund what was paid twice."
            )
        if number := checked.simulated:
            click.echo(f"{number:,} simulated subscription{'s'[: number != 1]} left out.")
        number = checked.looked_at
        compared = f"{number:,} subscription{'s'[: number != 1]} compared"
        if not checked.differing and problem is None:
            click.echo(f"{compared}; no difference.")
        elif self._is_dry:
            click.echo(f"{compared}; {checked.differing:,} differ; nothing was changed.")
        else:
            repaired = checked.differing - checked.left
            click.echo(f"{compared}; {repaired:,} repaired, {checked.left:,} left.")

    def _flush(self) -> None:
        if self._rows:
            rows = table(_HEADINGS, wrapped=("here", "at Stripe"))
            for row in self._rows:
                rows.add_row(*row)
            console().print(rows)
            self._rows.clear()


class _Json:
    """For programs: one object, written as it grows, so a long list takes no memory."""

    def __init__(self, *, is_dry: bool) -> None:
        self._before = f'{{"dry_run": {json.dumps(is_dry)}, "subscriptions": ['

    def mismatch(self, mismatch: Mismatch, is_left: bool) -> None:  # noqa: FBT001 - as above.
        """Write one subscription that differs."""
        record: dict[str, Any] = asdict(mismatch) | {"is_left": is_left}
        click.echo(f"{self._before}\n{json.dumps(record)}", nl=False)
        self._before = ","

    def verdict(self, checked: Checked, doubles: Sequence[SecondPlan], problem: str | None) -> None:
        """Write the rest of the object."""
        if self._before != ",":
            click.echo(self._before, nl=False)
        rest = asdict(checked) | {"second_plans": list(map(asdict, doubles)), "problem": problem}
        click.echo(f"], {json.dumps(rest)[1:]}")


def _costs(sums: Sequence[Money]) -> str:
    told_each = (
        f"{'?' if cost.amount_minor is None else money(cost.amount_minor, cost.currency)}"
        f"{per(cost.interval)}"
        for cost in sums
    )
    return " + ".join(told_each) or "?"
