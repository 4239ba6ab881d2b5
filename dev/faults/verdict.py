"""Judges a run from the outside: promises against the tables, tables against what is expected.

Three judges that share no code: the ids that were answered 2xx, the simulator's expected account,
and the product's audit.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg2
import redis

import settings
from db.engine import make_engine
from db.queue.stream import STREAM
from dev.faults.hearing import Hearing
from dev.faults.load import Load
from dev.faults.log import without_redis
from dev.faults.stripe import StandIn
from sandbox.simulate.compare import Difference
from sandbox.simulate.expected import Expectation
from sandbox.simulate.reading import Reader, token_maker
from sandbox.simulate.verification import verify_users
from workers.operations.audit import audit

# Longer than a lease and a retry, so that only what is really stuck ends the waiting.
STALLED_SECONDS = 75.0
# With nothing waiting anywhere, this is enough for what is in a worker's hands.
IDLE_SECONDS = 10.0
POLL_SECONDS = 0.2
# Longer than the longest pause of an asker, with a question after it.
ANSWERED_SECONDS_MAX = 100.0
# A Stripe in trouble delays nobody else by more than this.
TROUBLE_SECONDS_MAX = 1.0
FINISHED = ("applied", "ignored")


class Judged(Protocol):
    """What is judged: who answers its users, and the addresses and secrets of its stores."""

    @property
    def base_url(self) -> str:
        """Where a receiver answers."""
        ...

    @property
    def settings(self) -> Mapping[str, str]:
        """By the names of the product's settings; each store is one server here."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """The figures of a run. Events are distinct ids; delays are from the first 2xx to the commit.

    `lost` were accepted and had no effect in the end, `strangers` are stored and were never sent,
    `doubled` are payments whose ledger holds more than expected, `wrong_users` those who see
    anything that is not expected, `wrong_answers` what a good event must never be told.
    Where the product may ask Stripe, `unanswered` questions were left in the end, and what was
    waiting while Stripe was in trouble waited `trouble_delay_seconds` at most, what was accepted
    at the same rate at other times `usual_delay_seconds`; what came while the product could not
    use Redis is in neither. `compared` are those of a time of trouble.
    `slowest` tells of the event with the longest delay: when it was accepted, and its tries;
    `slowest_between` are the Unix times at which it was accepted and applied.
    `hearing` is what became of those who are told of changes.
    """

    events: int
    deliveries: int
    answers: Mapping[int, int]
    wrong_answers: Mapping[int, int]
    accepted: int
    statuses: Mapping[str, int]
    lost: int
    strangers: int
    doubled: int
    users: int
    wrong_users: int
    audit_differences: int
    longest_delay_seconds: float
    median_delay_seconds: float
    slowest: str
    examples: tuple[str, ...]
    unanswered: int = 0
    trouble_delay_seconds: float = 0.0
    usual_delay_seconds: float = 0.0
    compared: int = 0
    slowest_between: tuple[float, float] = (0.0, 0.0)
    hearing: Hearing = field(default_factory=Hearing)

    @property
    def is_clean(self) -> bool:
        """Whether everything promised was kept, once."""
        promised = self.accepted == self.events and not sum(self.wrong_answers.values())
        wrong = (self.lost, self.strangers, self.doubled, self.wrong_users, self.audit_differences)
        delayed = self.trouble_delay_seconds > self.usual_delay_seconds + TROUBLE_SECONDS_MAX
        kept = promised and not (any(wrong) or self.unanswered or delayed)
        return kept and self.hearing.is_clean


def judge(
    product: Judged,
    load: Load,
    expectations: Sequence[Expectation],
    events: int,
    *,
    stripe: StandIn | None = None,
    log_path: Path | None = None,
) -> Verdict:
    """Wait until the product has nothing left to do, then compare everything there is."""
    rows = _await_idle(product, load)
    unanswered = _await_answers(product) if stripe else 0
    applied = {key: row.applied_at for key, row in rows.items() if row.is_finished}
    away = without_redis(log_path) if log_path else []
    troubled, usual = delays(applied, load, stripe, away) if stripe else ([], [])
    differences = _compared(product, expectations)
    audited: list[str] = []
    engine = make_engine(_driver_url(product), statement_timeout_ms=60_000)
    try:
        verdict = audit(
            engine,
            lambda difference: audited.append(str(difference.difference)),
            lambda _done, _total: None,
        )
    finally:
        engine.dispose()
    slow = sorted(
        (applied[key] - accepted_at, key)
        for key, accepted_at in load.accepted.items()
        if key in applied
    ) or [(0.0, "")]
    slowest = slow[-1][1]
    lost = [key for key in load.accepted if key not in applied]
    return Verdict(
        events=events,
        deliveries=load.deliveries,
        answers=dict(load.answers),
        wrong_answers={status: count for status, count in load.wrong.items() if count},
        accepted=len(load.accepted),
        statuses=_counted(rows),
        lost=len(lost),
        strangers=len(rows.keys() - load.accepted.keys()),
        doubled=sum(_is_double(difference) for difference in differences),
        users=len(expectations),
        wrong_users=len({difference.user_id for difference in differences}),
        audit_differences=verdict.differences,
        longest_delay_seconds=slow[-1][0],
        median_delay_seconds=slow[len(slow) // 2][0],
        slowest=_history(product, slowest),
        slowest_between=(load.accepted.get(slowest, 0.0), applied.get(slowest, 0.0)),
        examples=(*lost[:5], *(str(difference) for difference in differences[:5]), *audited[:5]),
        unanswered=unanswered,
        trouble_delay_seconds=max(troubled, default=0.0),
        usual_delay_seconds=max(usual, default=0.0),
        compared=len(troubled),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    status: str
    applied_at: float

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


def _await_idle(product: Judged, load: Load) -> dict[str, _Row]:
    """Every stored event, once all that were accepted are finished or nothing moves any more."""
    best, moved_at = -1, time.monotonic()
    while True:
        rows = _stored(product)
        finished = sum(key in rows and rows[key].is_finished for key in load.accepted)
        if finished == len(load.accepted):
            return rows
        if finished > best:
            best, moved_at = finished, time.monotonic()
        wait_seconds = STALLED_SECONDS if _is_busy(product, rows) else IDLE_SECONDS
        if time.monotonic() - moved_at > wait_seconds:
            return rows
        time.sleep(POLL_SECONDS)


def _await_answers(product: Judged) -> int:
    """How many questions are left once Stripe has been well for as long as any pause of theirs."""
    deadline = time.monotonic() + ANSWERED_SECONDS_MAX
    while True:
        with _cursor(product) as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM payments WHERE question IN"
                " ('invoice_lines', 'line_items'))"
                " + (SELECT count(*) FROM subscriptions WHERE undecided)"
            )
            left = int((cursor.fetchone() or (0,))[0])
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(POLL_SECONDS)


def delays(
    applied: Mapping[str, float],
    load: Load,
    stripe: StandIn,
    away: Sequence[tuple[float, float]],
) -> tuple[Sequence[float], Sequence[float]]:
    """The delays of what waited while Stripe was in trouble, and of what came otherwise.

    `applied` has the Unix time at which each event was applied. What came while Redis was `away`,
    as it is where a disk is slow, waits for the scheduler, whatever Stripe does.
    """
    troubled: list[float] = []
    usual: list[float] = []
    for key, accepted_at in load.accepted.items():
        # What is sent in a hurry waits for its turn, which says nothing of Stripe.
        is_paced = load.hurries_since is None or accepted_at < load.hurries_since
        if key not in applied or not is_paced:
            continue
        if _meets(away, accepted_at, applied[key]):
            continue
        is_troubled = _meets(stripe.troubles, accepted_at, applied[key])
        (troubled if is_troubled else usual).append(applied[key] - accepted_at)
    return troubled, usual


def _meets(times: Sequence[tuple[float, float]], accepted_at: float, applied_at: float) -> bool:
    return any(began <= applied_at and accepted_at <= ended for began, ended in times)


def _is_busy(product: Judged, rows: Mapping[str, "_Row"]) -> bool:
    """Whether anything waits anywhere; if not, what is missing is lost."""
    with closing(redis.Redis.from_url(product.settings["REDIS_URL"])) as client:
        in_stream = client.xlen(STREAM)
    return bool(in_stream) or any(not row.is_finished for row in rows.values())


@contextmanager
def _cursor(product: Judged) -> Iterator[psycopg2.extensions.cursor]:
    url = product.settings["DATABASE_URL"]
    with (
        closing(psycopg2.connect(url, connect_timeout=5)) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def _stored(product: Judged) -> dict[str, _Row]:
    with _cursor(product) as cursor:
        cursor.execute(
            "SELECT id, status, coalesce(extract(epoch FROM applied_at), 0) FROM webhook_events"
            " WHERE source <> 'fetch'"  # What Stripe answered was never sent.
        )
        return {key: _Row(status, float(moment)) for key, status, moment in cursor}


def _history(product: Judged, event_id: str) -> str:
    """An event's tries in a line, as the inbox keeps them."""
    with _cursor(product) as cursor:
        cursor.execute(
            "SELECT format('%%s, received %%s, tried %%s times', type, received_at, attempts)"
            " FROM webhook_events WHERE id = %s"
            " UNION ALL SELECT format('%%s: %%s %%s', at, status, left(error, 100))"
            " FROM event_attempts WHERE event_id = %s",
            (event_id, event_id),
        )
        return "; ".join(str(row[0]) for row in cursor)


def _compared(product: Judged, expectations: Sequence[Expectation]) -> tuple[Difference, ...]:
    token_for = token_maker(product.settings["JWT_SECRET"], "", "")
    with closing(Reader(product.base_url, token_for)) as reader:
        verification = verify_users(
            reader, expectations, timeout_seconds=5, progress=lambda _ready: None
        )
    return verification.differences


def _driver_url(product: Judged) -> str:
    given = {"DATABASE_URL": product.settings["DATABASE_URL"]}
    return settings.load(environ=given).database_url


def _counted(rows: Mapping[str, _Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows.values():
        counts[row.status] = counts.get(row.status, 0) + 1
    return counts


def _is_double(difference: Difference) -> bool:
    """Whether a payment has more in the ledger than it should: an effect that came twice."""
    if not difference.what.startswith("entries of"):
        return False
    return abs(int(str(difference.found))) > abs(int(str(difference.expected)))
