"""`python -m dev.machines`: what `manage.py test --machines` runs."""

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from dev.faults.product import ROOT
from dev.machines import enclosure, rabbits
from dev.machines.losses import BACKLOG_RATE
from dev.machines.machine import MachineError
from dev.machines.report import document
from dev.machines.run import Outcome, Plan, run

PAGE = ROOT / "docs" / "machines.md"
SEEDS = (1, 2)
# In turn: Celery's wake-ups go through each of them in one of the two runs.
BROKERS = ("rabbitmq", "redis")


@click.command()
@click.option("--seed", "seeds", type=int, multiple=True, default=SEEDS, show_default=True)
@click.option("--broker", type=click.Choice(BROKERS), help="Instead of both in turn.")
@click.option("--only", multiple=True, help="How the titles of the wanted losses begin.")
@click.option("--rate", type=float, default=Plan.__dataclass_fields__["rate"].default)
@click.option(
    "--tick-seconds", type=int, default=rabbits.TICK_SECONDS, help="RabbitMQ's net_ticktime."
)
@click.option("--root", type=click.Path(path_type=Path), default=ROOT, help="What is to run.")
@click.option("--logs", type=click.Path(path_type=Path), help="Where to leave everything.")
@click.option("--page", type=click.Path(path_type=Path), default=PAGE, help="Where to write it.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="In place of the page.")
def machines(
    *,
    seeds: Sequence[int],
    broker: str | None,
    only: Sequence[str],
    rate: float,
    tick_seconds: int,
    root: Path,
    logs: Path | None,
    page: Path,
    json_path: Path | None,
) -> None:
    """Lose every machine with each seed, and write what came of it."""
    skipped = _enclosed()
    # So that nothing is left behind by who is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    outcomes = []
    for number, seed in enumerate(seeds):
        chosen, reason = _broker(broker or BROKERS[number % len(BROKERS)])
        if reason:
            skipped.append(f"seed {seed} with RabbitMQ as the broker, Redis is instead: {reason}")
        place = logs / str(seed) if logs else None
        plan = Plan(
            seed,
            chosen,
            rate=rate,
            root=root,
            only=only,
            log_directory=place,
            tick_seconds=tick_seconds,
        )
        outcomes.append(_told(plan))
    if json_path:
        json_path.write_text(json.dumps([asdict(each) for each in outcomes]), encoding="utf-8")
    else:
        page.write_text(document(outcomes, skipped, backlog=BACKLOG_RATE), encoding="utf-8")
        click.echo(f"wrote {page}")
    if not all(outcome.is_clean for outcome in outcomes):
        sys.exit(1)


def _enclosed() -> list[str]:
    """Go on in a network of our own; where that is not allowed, why not."""
    if enclosure.is_enclosed():
        return []
    if reason := enclosure.reason_against():
        return [f"machines are loopback addresses, whose links cannot be cut: {reason}"]
    enclosure.enter([sys.executable, "-m", "dev.machines", *sys.argv[1:]])
    return []


def _broker(wanted: str) -> tuple[str, str]:
    """Which broker can be had, and why it is not the wanted one."""
    if wanted != "rabbitmq":
        return wanted, ""
    reason = "" if enclosure.is_enclosed() else "it wants a network of its own"
    reason = reason or rabbits.reason_against()
    return ("redis" if reason else wanted), reason


def _told(plan: Plan) -> Outcome:
    click.echo(f"seed {plan.seed}, broker {plan.broker}")
    try:
        outcome = run(plan, lambda line: click.echo(f"  {line}"))
    except MachineError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"  {outcome.verdict}")
    for line in outcome.late_answers[:5]:
        click.echo(f"  late answer: {line}")
    click.echo(f"  {'clean' if outcome.is_clean else 'NOT CLEAN'}")
    return outcome


if __name__ == "__main__":
    machines()
