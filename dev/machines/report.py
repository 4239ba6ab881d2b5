"""Writes `docs/machines.md`: which machines were lost, and what came of it, nothing rounded up."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from dev.faults.load import NO_ANSWER
from dev.faults.report import machine, number, row
from dev.machines.run import DELAY_SECONDS_MAX, Outcome
from dev.machines.sender import ANSWER_SECONDS_MAX

_HEAD = """\
# Any machine lost: a run

Written by `python3 manage.py test --machines` on {day}, {machine}. Do not edit: run it again.

Fifteen machines, twelve where Redis is Celery's broker too: three with a Valkey and a Sentinel
each (`s1` to `s3`), three with a PostgreSQL each (`p1` to `p3`), of which any one standby confirms
a commit, three with a RabbitMQ each (`q1` to `q3`), two receivers (`r1`, `r2`), two workers of the
same host name (`w1`, `w2`) and two schedulers (`b1`, `b2`). Each is a network, a process space and
a host name of its own on one computer; a supervisor on it starts again within a second what has
ended. `REDIS_COPIES=1`, `DATABASE_COPIES=1`. A rack is one machine of each kind, lost at the same
moment, which is what a host carries that has one of everything.

Signed events of a simulated Stripe account come in shuffled, three in ten of them more than once,
at most {rate:.0f} a second, {backlog:.0f} where a backlog is at stake. The sender goes to the other
receiver when one does not answer, as a proxy would. The order of the losses follows from the seed.
A killed machine sends the last words of its system; one that vanishes sends nothing, and its link
is dead.
Machines come back with the data that they had, so an old primary comes back as one.

Nobody does anything by hand. Who promotes is not ours: the Sentinels do it for Valkey, the cluster
for RabbitMQ. For PostgreSQL a small operator of the run itself stands in for Patroni or
CloudNativePG: it promotes the standby with the furthest log once the primary has been gone for 5 s
and both standbys answer, lets the other one follow, and copies an old primary anew as a standby
8 s after it came back. It tells the product nothing.

Judged as in [no-loss](no-loss.md): the sender, the expected account and `audit` must agree.
Besides, every good event is answered 200 or 503 within {answer:.0f} s by a receiver whose own
machine is well, is applied within {delay:.0f} s of its 200, and no try of any event fails. What
a worker had in hand that was killed or stood still is tried again, and is counted by itself.
"""

_FIGURES: Sequence[tuple[str, Callable[[Outcome], float]]] = (
    ("machines", lambda outcome: 15 if outcome.broker == "rabbitmq" else 12),
    ("events sent", lambda outcome: outcome.verdict.events),
    ("deliveries, with duplicates", lambda outcome: outcome.verdict.deliveries),
    ("losses inflicted", lambda outcome: len(outcome.happened)),
    ("events accepted (2xx)", lambda outcome: outcome.verdict.accepted),
    ("answers that put off (503)", lambda outcome: outcome.verdict.answers.get(503, 0)),
    ("attempts without an answer", lambda outcome: outcome.verdict.answers.get(NO_ANSWER, 0)),
    ("wrong answers", lambda outcome: sum(outcome.verdict.wrong_answers.values())),
    ("answers too late", lambda outcome: len(outcome.late_answers)),
    ("slowest answer, s", lambda outcome: outcome.slowest_answer_seconds),
    ("**lost**", lambda outcome: outcome.verdict.lost),
    ("**doubled**", lambda outcome: outcome.verdict.doubled),
    ("stored but never sent", lambda outcome: outcome.verdict.strangers),
    ("users compared", lambda outcome: outcome.verdict.users),
    ("users with anything wrong", lambda outcome: outcome.verdict.wrong_users),
    ("differences found by audit", lambda outcome: outcome.verdict.audit_differences),
    ("events of which a try failed", lambda outcome: outcome.failed),
    (
        "events of which a lost or frozen worker left a try unfinished",
        lambda outcome: outcome.unfinished,
    ),
    ("longest delay, 2xx to commit, s", lambda outcome: outcome.verdict.longest_delay_seconds),
    ("median delay, s", lambda outcome: outcome.verdict.median_delay_seconds),
    ("duration, s", lambda outcome: outcome.seconds),
)
_BROKEN = """\
## What the run can tell

A run that cannot fail proves nothing. `test --machines` ends with builds that are broken on
purpose, and each must be found out: one that does not wait for copies loses events in both of the
two-fold cases of Redis, one whose workers do not watch for a standstill leaves events waiting while
RabbitMQ stands still, and one that believes any PostgreSQL gives events to an old primary.

In the rolling upgrade the release to come is today's with one more dictionary, and so the way back
meets bodies that today's cannot read; they are kept out of it by `BODY_DICTIONARY`
([decision 20](decisions/0020-releases-side-by-side.md) says what is stranded otherwise, until the
newer release is back).
"""


def document(outcomes: Sequence[Outcome], skipped: Sequence[str], *, backlog: float) -> str:
    """The page; `skipped` says what this machine did not allow."""
    head = _HEAD.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        rate=outcomes[0].rate,
        backlog=backlog,
        answer=ANSWER_SECONDS_MAX,
        delay=DELAY_SECONDS_MAX,
    )
    parts = [head, _figures(outcomes), *map(_losses, outcomes), _BROKEN]
    left_out = [*skipped, *(line for outcome in outcomes for line in outcome.skipped)]
    if left_out:
        lines = "\n".join(f"- {line}" for line in dict.fromkeys(left_out))
        parts.append(f"## Not run here\n\n{lines}\n")
    return "\n".join(parts)


def _figures(outcomes: Sequence[Outcome]) -> str:
    heads = [f"seed {each.seed}, broker {_title(each)}" for each in outcomes]
    lines = [row("", *heads), row("---", *["---:"] * len(heads))]
    lines += [row(name, *(number(value(each)) for each in outcomes)) for name, value in _FIGURES]
    return "## Figures\n\n" + "\n".join(lines) + "\n"


def _losses(outcome: Outcome) -> str:
    lines = [
        row("in this order", "whole again after, s", "accepted meanwhile", "longest delay, s"),
        row("---", "---:", "---:", "---:"),
    ]
    for each in outcome.happened:
        figures = (number(each.seconds), number(each.accepted), number(each.delay_seconds))
        lines.append(row(each.title, *figures))
    title = f"## Losses with seed {outcome.seed}, broker {_title(outcome)}"
    return f"{title}\n\n" + "\n".join(lines) + "\n"


def _title(outcome: Outcome) -> str:
    return {"rabbitmq": "RabbitMQ", "redis": "Redis"}[outcome.broker]
