"""Writes `docs/no-loss.md`: what was sent, what was broken, what came of it. Nothing is rounded up.

The same text for the same outcomes; it promises nothing that a figure in it does not show.
"""

import platform
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from dev.faults.fuzz import Fuzzed
from dev.faults.hearing import STREAMS
from dev.faults.load import NO_ANSWER
from dev.faults.run import Outcome
from dev.faults.spooling import Spooling

_HEAD = """\
# No event lost, none doubled: a run

Written by `python3 manage.py test --faults-long` on {day}, {machine}. Do not edit: run it again.

The whole product runs as `manage.py up` starts it: real PostgreSQL and real Valkey, every process
its own. Signed events of a simulated Stripe account come in shuffled, three in ten of them more
than once, while one fault after the other hits; whatever is not answered 2xx is sent again. Kinds,
order and pauses follow from the seed. Faults come from outside: signals, table locks, server
commands. The product has no switch for them.

Two destinations of outgoing webhooks die, hang, answer 500 or break off in the middle of an
answer, another way at each fault, and each loses all it knew once, at some fault. Pages of up to
{streams} users listen to `GET /billing/stream/` from before the first event on; at each fault a
fifth of them loses its connection, and all come back with `Last-Event-ID`. Once the faults are
over, a destination that forgot is told again by `destinations resend --since`.

Afterwards judges that share no code must agree:

- **the sender**: every event that was answered 2xx is applied or ignored, and nothing is stored
  that was not sent;
- **the expected account**: every user's balance, subscriptions, payments and ledger, asked for
  over HTTP, are what the seller's arithmetic says;
- **`audit`**: the tables are what the stored events make them;
- **who hears**: of every user, each destination knows exactly the balance, subscriptions, payments
  and access that the API shows, and heard no message before an earlier one of that user; each page
  was told every message of the outbox of its user, once, in order, and adds up to the same.

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
    ("messages of changes", lambda outcome: outcome.verdict.hearing.messages, "sum"),
    ("attempts to tell two destinations", lambda outcome: outcome.verdict.hearing.attempts, "sum"),
    ("of these taken by them", lambda outcome: outcome.verdict.hearing.taken, "sum"),
    ("times a destination forgot all", lambda outcome: outcome.verdict.hearing.forgotten, "sum"),
    ("users compared with each destination", lambda outcome: outcome.verdict.hearing.users, "sum"),
    ("**known otherwise than the API says**", lambda outcome: outcome.verdict.hearing.wrong, "sum"),
    ("users still to be told of", lambda outcome: outcome.verdict.hearing.untold, "sum"),
    ("told before an earlier message", lambda outcome: outcome.verdict.hearing.overtaken, "sum"),
    ("streams", lambda outcome: outcome.verdict.hearing.streams, "sum"),
    ("messages told on them", lambda outcome: outcome.verdict.hearing.streamed, "sum"),
    ("times they came back", lambda outcome: outcome.verdict.hearing.resumed, "sum"),
    ("**gaps in a stream**", lambda outcome: outcome.verdict.hearing.gaps, "sum"),
    ("resets of a stream", lambda outcome: outcome.verdict.hearing.resets, "sum"),
    ("median delay, s", lambda outcome: outcome.verdict.median_delay_seconds, ""),
    ("duration, s", lambda outcome: outcome.seconds, "sum"),
)


def document(
    outcomes: Sequence[Outcome],
    fuzzed: Fuzzed | None,
    skipped: Sequence[str],
    spooling: Spooling | None = None,
) -> str:
    """The page; `skipped` says what this machine did not allow."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    head = _HEAD.format(day=day, machine=machine(), streams=STREAMS)
    parts = [head, _figures(outcomes), _faults(outcomes)]
    if spooling:
        parts.append(_spooling(spooling))
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
        " where nobody can tell that it is dead, when its lease has run out. What two processes in"
        " turn had in hand when they were killed might have killed them: it is tried alone, after"
        " the pauses of a failed event, of which the second is a minute.\n"
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


def _spooling(spooling: Spooling) -> str:
    return (
        "## An app that spends while the service is away\n\n"
        f"The receiver was killed for {spooling.away_seconds:.0f} s under {spooling.rate} spends a"
        " second of an app with the Python client, which spools. Of"
        f" {spooling.spends:,} spends {spooling.spooled:,} went to its disk, and were settled"
        f" {spooling.settle_seconds:.1f} s after the service was back. In the ledger:"
        f" {spooling.posted:,}; missing: {spooling.missing}; doubled: {spooling.doubled}; refused:"
        f" {spooling.refused}. The longest that a spend held the app up was"
        f" {spooling.slowest_seconds * 1_000:.0f} ms; the median while the service was away"
        f" {spooling.median_away_seconds * 1_000:.1f} ms.\n"
    )


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
