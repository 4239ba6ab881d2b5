"""Writes `docs/no-loss.md`: what was sent, what was broken, what came of it. Nothing is rounded up.

The same text for the same outcomes; it promises nothing that a figure in it does not show.
"""

import platform
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from dev.faults.fuzz import Fuzzed
from dev.faults.load import NO_ANSWER
from dev.faults.run import Outcome

_HEAD = """\
# No event lost, none doubled: a run

Written by `python3 manage.py test --faults-long` on {day}, {machine}. Do not edit: run it again.

The whole product runs as `manage.py up` starts it: real PostgreSQL and real Valkey, every process
its own. Signed events of a simulated Stripe account come in shuffled, three in ten of them more
than once, while one fault after the other hits; whatever is not answered 2xx is sent again. Kinds,
order and pauses follow from the seed. Faults come from outside: signals, table locks, server
commands. The product has no switch for them.

Afterwards three judges that share no code must agree:

- **the sender**: every event that was answered 2xx is applied or ignored, and nothing is stored
  that was not sent;
- **the expected account**: every user's balance, subscriptions, payments and ledger, asked for
  over HTTP, are what the seller's arithmetic says;
- **`audit`**: the tables are what the stored events make them.

In the run with a Stripe that can be asked, some invoices come with a cut list. While it hangs, is
slow or refuses, events that need nothing of it must be applied as ever: at most 1 s later than the
slowest of the same run; and afterwards no question is left.
"""

Figure = tuple[str, Callable[[Outcome], float], str]
_FIGURES: Sequence[Figure] = (
    ("events sent", lambda outcome: outcome.verdict.events, "sum"),
    ("deliveries, with duplicates", lambda outcome: outcome.verdict.deliveries, "sum"),
    ("faults injected", lambda outcome: sum(outcome.faults.values()), "sum"),
    ("events accepted (2xx)", lambda outcome: outcome.verdict.accepted, "sum"),
    ("answers that put off (503)", lambda outcome: outcome.verdict.answers.get(503, 0), "sum"),
    (
        "attempts without an answer",
        lambda outcome: outcome.verdict.answers.get(NO_ANSWER, 0),
        "sum",
    ),
    ("refused for the clock (400)", lambda outcome: outcome.verdict.answers.get(400, 0), "sum"),
    ("wrong answers", lambda outcome: sum(outcome.verdict.wrong_answers.values()), "sum"),
    ("applied", lambda outcome: outcome.verdict.statuses.get("applied", 0), "sum"),
    (
        "ignored (types without effect)",
        lambda outcome: outcome.verdict.statuses.get("ignored", 0),
        "sum",
    ),
    ("**lost**", lambda outcome: outcome.verdict.lost, "sum"),
    ("**doubled**", lambda outcome: outcome.verdict.doubled, "sum"),
    ("stored but never sent", lambda outcome: outcome.verdict.strangers, "sum"),
    ("users compared", lambda outcome: outcome.verdict.users, "sum"),
    ("users with anything wrong", lambda outcome: outcome.verdict.wrong_users, "sum"),
    ("differences found by audit", lambda outcome: outcome.verdict.audit_differences, "sum"),
    (
        "longest delay, 2xx to commit, s",
        lambda outcome: outcome.verdict.longest_delay_seconds,
        "max",
    ),
    ("questions left unanswered", lambda outcome: outcome.verdict.unanswered, "sum"),
    (
        "longest delay while Stripe is in trouble, s",
        lambda outcome: outcome.verdict.trouble_delay_seconds,
        "max",
    ),
    (
        "longest delay at other times of that run, s",
        lambda outcome: outcome.verdict.usual_delay_seconds,
        "max",
    ),
    ("median delay, s", lambda outcome: outcome.verdict.median_delay_seconds, ""),
    ("duration, s", lambda outcome: outcome.seconds, "sum"),
)


def document(outcomes: Sequence[Outcome], fuzzed: Fuzzed | None, skipped: Sequence[str]) -> str:
    """The page; `skipped` says what this machine did not allow."""
    head = _HEAD.format(day=f"{datetime.now(UTC):%Y-%m-%d}", machine=machine())
    parts = [head, _figures(outcomes), _faults(outcomes)]
    if fuzzed:
        parts.append(_fuzz(fuzzed))
    if skipped:
        parts.append("## Not run here\n\n" + "\n".join(f"- {line}" for line in skipped) + "\n")
    return "\n".join(parts)


def _figures(outcomes: Sequence[Outcome]) -> str:
    seeds = [f"run {number}, seed {outcome.seed}" for number, outcome in enumerate(outcomes, 1)]
    lines = [row("", *seeds, "all"), row("---", *["---:"] * (len(seeds) + 1))]
    for name, value, total in _FIGURES:
        values = [value(outcome) for outcome in outcomes]
        lines.append(row(name, *map(number, values), _total(values, total)))
    note = (
        "\nThe longest delay is the time until what was killed or hangs is noticed and has started"
        " again. What a dead process had in hand is then taken over at once; from another machine,"
        " where nobody can tell that it is dead, when its lease has run out.\n"
    )
    return "## Figures\n\n" + "\n".join(lines) + "\n" + note


def _total(values: Sequence[float], how: str) -> str:
    if not how:
        return ""
    return number(sum(values) if how == "sum" else max(values))


def _faults(outcomes: Sequence[Outcome]) -> str:
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update(outcome.faults)
    lines = [row("fault", "times"), row("---", "---:")]
    lines += [row(title, str(count)) for title, count in sorted(counts.items())]
    return "## Faults\n\n" + "\n".join(lines) + "\n"


def _fuzz(fuzzed: Fuzzed) -> str:
    answers = ", ".join(f"{status}: {count:,}" for status, count in sorted(fuzzed.answers.items()))
    return (
        "## Fuzz\n\n"
        f"{fuzzed.mutants:,} mutated and properly signed bodies (seed {fuzzed.seed}), with"
        f" {fuzzed.valid:,} valid events between them, answered {answers}. Server errors:"
        f" {fuzzed.server_errors}. Processes that died: {fuzzed.deaths}. Valid events not applied:"
        f" {fuzzed.unapplied}; users with anything wrong: {fuzzed.wrong_users}; longest delay of a"
        f" valid event: {fuzzed.longest_delay_seconds:.1f} s. What was accepted and makes no sense"
        f" is kept with its error ({fuzzed.parked:,}).\n"
    )


def row(*cells: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """A figure as people read it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def machine() -> str:
    """What a run was made on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("celery", "redis", "granian"))
    return (
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {packages}"
    )
