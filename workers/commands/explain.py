"""`explain`: what happened to a user, and why the balance is what it is."""

import json
from typing import Any

import click

import settings
from db.engine import make_engine
from db.operations.explain import Kept, kept_about
from domain.decode import DECODERS
from workers.operations.explain import Explanation, Movement, Step, explained

# A long story is read in one piece; it may take longer than a request may.
STATEMENT_TIMEOUT_MS = 60_000


@click.command()
@click.option("--user", "user_id", metavar="U", required=True, help="Whose story.")
@click.option("--verbose", is_flag=True, help="Also events of types that are not handled.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with every event.")
def explain(user_id: str, *, verbose: bool, as_json: bool) -> None:
    """Tell everything that happened to a user in time order, and why the balance is what it is.

    Events are placed by Stripe's clock, each with what it changed; what no event caused stands
    at our own time. Exit 1 when the user is unknown or the entries do not sum to the balance.
    """
    kept = _kept(user_id)
    if kept.is_unknown:
        raise click.ClickException(f"Nothing is known of user {user_id}: no event names them.")
    explanation = explained(kept)
    if as_json:
        click.echo(json.dumps(_plain(user_id, explanation)))
    else:
        _show(user_id, explanation, verbose=verbose)
    if not explanation.agrees:
        raise SystemExit(1)


def _kept(user_id: str) -> Kept:
    configured = settings.load(needs=("database_url",))
    engine = make_engine(
        configured,
        pool_size=1,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        application_name="fiko-explain",
    )
    try:
        with engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            return kept_about(connection, user_id)
    finally:
        engine.dispose()


def _show(user_id: str, explanation: Explanation, *, verbose: bool) -> None:
    click.secho(f"user {user_id}", bold=True)
    shown = [step for step in explanation.steps if verbose or not _is_unhandled(step)]
    for step in shown:
        _show_step(step)
    if left_out := len(explanation.steps) - len(shown):
        many = f"{left_out:,} events of types that are", "them"
        what, them = ("1 event of a type that is", "it") if left_out == 1 else many
        click.secho(f"{what} not handled left out; --verbose shows {them}", dim=True)
    if explanation.loose_ends:
        click.secho("loose ends", bold=True)
    for sentence in explanation.loose_ends:
        click.echo(f"  {sentence}")
    number = sum(len(step.movements) for step in explanation.steps)
    click.secho("the balance", bold=True)
    entries = (
        f"{number:,} {'entry sums' if number == 1 else 'entries sum'} to {explanation.total:,}"
    )
    if explanation.agrees:
        click.echo(f"  {entries}, and the balance is {explanation.balance:,}.")
    else:
        wrong = (
            f"  {entries}, but the balance is {explanation.balance:,}: `audit` shows what is wrong."
        )
        click.secho(wrong, fg="red")


def _is_unhandled(step: Step) -> bool:
    """Whether it tells of an event that changed nothing, because of its type."""
    event = step.event
    return event is not None and event.status == "ignored" and event.type not in DECODERS


def _show_step(step: Step) -> None:
    when = f"{step.at:%Y-%m-%d %H:%M:%S}"
    if step.event is None:
        for movement in step.movements:
            click.echo(f"{when}  {_movement(movement)}")
        return
    head = click.style(step.text, dim=step.event.status == "ignored")
    click.echo(f"{when}  {head}  [{step.event.type} {step.event.id}]")
    for sentence in step.changes:
        click.echo(f"{' ' * 21}{sentence}")
    for movement in step.movements:
        click.echo(f"{' ' * 21}{_movement(movement)}")


def _movement(movement: Movement) -> str:
    entry = movement.entry
    colour = "green" if entry.delta > 0 else "yellow"
    moved = click.style(f"{entry.delta:+,} tokens".replace("-", "\N{MINUS SIGN}"), fg=colour)
    return f"{moved}: {movement.reason}; balance {entry.balance_after:,}  [{entry.kind} {entry.id}]"


def _plain(user_id: str, explanation: Explanation) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "steps": [_plain_step(step) for step in explanation.steps],
        "loose_ends": list(explanation.loose_ends),
        "sum": explanation.total,
        "balance": explanation.balance,
        "agrees": explanation.agrees,
    }


def _plain_step(step: Step) -> dict[str, Any]:
    event = step.event
    return {
        "at": step.at.isoformat(),
        "event_id": event.id if event else None,
        "event_type": event.type if event else None,
        "event_status": event.status if event else None,
        "text": step.text,
        "changes": list(step.changes),
        "entries": [
            {
                "id": movement.entry.id,
                "delta": movement.entry.delta,
                "kind": movement.entry.kind,
                "balance_after": movement.entry.balance_after,
                "payment_id": movement.entry.payment_id,
                "reason": movement.reason,
            }
            for movement in step.movements
        ],
    }
