"""`adjust` and `assign`: corrections by hand, with who made them and why."""

import sys

import click
from sqlalchemy import Engine

import db.ledger.catalogue
import settings
from db.engine import make_engine
from db.ledger import by_hand as tables
from db.queue.attempts import Request
from domain.errors import BillingError
from domain.json_values import text_of
from domain.synthetic_events.by_hand import PREFIX
from workers.commands.options import asked_for, request
from workers.operations.by_hand import adjust as run_adjust
from workers.operations.by_hand import assign as run_assign
from workers.operations.by_hand import new_number

_NAME_LENGTH_MAX = 255
_TOKENS_MAX = 10**15


@click.command()
@click.option("--user", "user_id", metavar="U", required=True, help="Whose balance.")
@click.option("--amount", type=int, metavar="±N", required=True, help="Tokens to add or take.")
@click.option("--allow-debt", is_flag=True, help="The balance may fall below zero.")
@click.option("--id", "number", metavar="NAME", help="The same name twice is done once.")
@click.option("--yes", is_flag=True, help="Do not ask, also where the user is unknown.")
@asked_for
def adjust(
    user_id: str,
    *,
    amount: int,
    allow_debt: bool,
    number: str | None,
    yes: bool,
    by: str | None,
    reason: str | None,
) -> None:
    """Correct a user's balance; the ledger keeps who did it and why."""
    if not amount or abs(amount) > _TOKENS_MAX:
        raise click.UsageError(f"--amount is not 0 and at most {_TOKENS_MAX:,} tokens.")
    if not (reason and reason.strip()):
        raise click.UsageError('--reason "…" is needed: the ledger keeps it for good.')
    _check_names(user=user_id, id=number, by=by)
    engine = _engine()
    try:
        if not _knows(engine, user_id) and not yes:
            _confirm_unknown(user_id)
        who = Request(request(by, None).by, reason.strip())
        number = number or new_number()
        applied = run_adjust(engine, user_id, amount, who, number, allow_debt=allow_debt)
        with engine.connect() as connection:
            after = tables.balance(connection, user_id)
    except BillingError as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.dispose()
    if not applied.new:
        raise click.ClickException(f"{PREFIX}{number} was made before. Nothing was changed.")
    click.echo(
        f"{user_id}: {amount:+,} tokens by {who.by} ({who.reason}); the balance is {after:,}."
        f"  [{PREFIX}{number}]"
    )


@click.command()
@click.option("--payment", "object_id", metavar="ID", required=True, help="Which payment.")
@click.option("--user", "user_id", metavar="U", help="Whose it is.")
@click.option("--plan", "plan_id", type=click.IntRange(min=0), metavar="P", help="What it bought.")
@asked_for
def assign(
    object_id: str,
    *,
    user_id: str | None,
    plan_id: int | None,
    by: str | None,
    reason: str | None,
) -> None:
    """Give a payment its user or its plan, whatever else claims it; the newest word stands."""
    if (user_id is None) is (plan_id is None):
        raise click.UsageError("Give either --user or --plan.")
    _check_names(user=user_id, by=by)
    engine = _engine()
    try:
        before = _payment(engine, object_id)
        if plan_id is not None:
            _check_plan(engine, plan_id)
        who, number = request(by, reason), new_number()
        applied = run_assign(engine, before.id, who, number, user_id=user_id, plan_id=plan_id)
        after = _payment(engine, before.id)
    except BillingError as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.dispose()
    what = f"user {user_id}" if plan_id is None else f"plan {plan_id}"
    click.echo(f"{before.id} is assigned to {what} by {who.by}.  [{PREFIX}{number}]")
    click.echo(f"before: {_told(before)}")
    click.echo(f"after:  {_told(after)}")
    for posting in applied.derived.postings:
        click.echo(f"posted: {posting.entry.delta:+,} tokens, user {posting.entry.user_id}")


def _engine() -> Engine:
    configured = settings.load(needs=("database_url",))
    return make_engine(
        configured,
        pool_size=1,
        application_name="fiko-by-hand",
    )


def _check_names(**names: str | None) -> None:
    for option, name in names.items():
        if name is not None and (text_of(name) is None or len(name) > _NAME_LENGTH_MAX):
            raise click.UsageError(f"--{option} is 1 to {_NAME_LENGTH_MAX} characters.")


def _knows(engine: Engine, user_id: str) -> bool:
    with engine.connect() as connection:
        return tables.is_known(connection, user_id)


def _confirm_unknown(user_id: str) -> None:
    warning = f"Nothing is known of user {user_id}: no account, no customer, no payment"
    if not sys.stdin.isatty():
        raise click.ClickException(f"{warning}. Nothing was changed; --yes adjusts all the same.")
    click.confirm(f"{warning}. Adjust all the same?", abort=True)


def _payment(engine: Engine, object_id: str) -> tables.PaymentNow:
    with engine.connect() as connection:
        payment = tables.payment(connection, object_id)
    if payment is None:
        raise click.ClickException(
            f"There is no payment {object_id}: no event told of it. Nothing was changed."
        )
    if not payment.listed:
        raise click.ClickException(
            f"{object_id} is no payment so far: no invoice or completed checkout is known to which"
            " it belongs. Nothing was changed."
        )
    return payment


def _check_plan(engine: Engine, plan_id: int) -> None:
    with engine.connect() as connection:
        plans = {plan.id for plan in db.ledger.catalogue.load(connection).plans}
    if plan_id not in plans:
        listed = ", ".join(map(str, sorted(plans))) or "none"
        raise click.ClickException(
            f"There is no plan {plan_id} in the catalogue (it has {listed}). Nothing was changed."
        )


def _told(payment: tables.PaymentNow) -> str:
    user = f"user {payment.user_id}" if payment.user_id else "no user"
    plan = "no plan" if payment.plan_id is None else f"plan {payment.plan_id}"
    return f"{payment.status}, {user}, {plan}, {payment.tokens:,} tokens"
