"""The long form: every fault with several seeds, then the fuzz, then the page that says so.

Run by `manage.py test --faults-long`, which runs the long tests after it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from dev.faults.disk import NoDiskError
from dev.faults.fuzz import Fuzzed, fuzz
from dev.faults.kinds import DISK, EVERY, STRIPE
from dev.faults.product import ROOT, ProductError
from dev.faults.report import document
from dev.faults.run import Outcome, Plan, run
from dev.faults.spooling import Spooling, spool
from dev.faults.stage import FaultError

PAGE = ROOT / "docs" / "no-loss.md"
SEEDS = (1, 2)
MUTANTS = 20_000
CLOCK_NOT_SET = (
    "a jump of the servers' own clock: it would move the time of everything else on the machine,"
    " so only sender and receiver are set apart"
)


@click.command()
@click.option("--seed", "seeds", type=int, multiple=True, default=SEEDS, show_default=True)
@click.option("--mutants", type=click.IntRange(1), default=MUTANTS, show_default=True)
@click.option("--page", type=click.Path(path_type=Path), default=PAGE, help="Where to write it.")
def prove(seeds: Sequence[int], mutants: int, page: Path) -> None:
    """Inject every fault with each seed, fuzz, and write what came of it."""
    skipped = [CLOCK_NOT_SET]
    try:
        outcomes = [_told(Plan(EVERY, seed)) for seed in seeds]
        outcomes.append(_told(Plan(STRIPE, seeds[0], with_stripe=True)))
        try:
            outcomes.append(_told(Plan(DISK, seeds[0], on_small_disk=True)))
        except NoDiskError as error:
            skipped.append(f"{DISK[0].title}: no disk of its own to be had ({error})")
        fuzzed = fuzz(mutants, seeds[0])
        click.echo("a minute without the service, under spends")
        spooling = spool()
        click.echo(f"  {spooling}")
    except (FaultError, ProductError) as error:
        raise click.ClickException(str(error)) from error
    page.write_text(document(outcomes, fuzzed, skipped, spooling), encoding="utf-8")
    click.echo(f"wrote {page}")
    _complain(outcomes, fuzzed, spooling)


def _told(plan: Plan) -> Outcome:
    click.echo(f"seed {plan.seed}: {len(plan.faults)} faults")
    outcome = run(plan, lambda line: click.echo(f"  {line}"))
    click.echo(f"  {outcome.verdict}")
    return outcome


def _complain(outcomes: Sequence[Outcome], fuzzed: Fuzzed, spooling: Spooling) -> None:
    verdicts = [outcome.verdict for outcome in outcomes]
    examples = [
        line for verdict in verdicts for line in (*verdict.examples, *verdict.hearing.examples)
    ]
    are_clean = all(verdict.is_clean for verdict in verdicts)
    if are_clean and fuzzed.is_clean and spooling.is_clean:
        return
    if not spooling.is_clean:
        examples.append(str(spooling))
    for line in (*examples, *fuzzed.examples):
        click.echo(line, err=True)
    sys.exit(1)


if __name__ == "__main__":
    prove()
