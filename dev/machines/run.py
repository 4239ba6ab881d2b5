"""The driver: one landscape, one load, losses in an order that follows from the seed."""

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
import zstandard

from db.queue.leases import KILLED
from dev.checks.dictionary import simulated as samples
from dev.faults.load import Load
from dev.faults.product import ROOT
from dev.faults.releases import NEXT_DICTIONARY, next_release
from dev.faults.run import FINISH_SECONDS_MAX, SPREAD, simulated
from dev.faults.verdict import Verdict, judge
from dev.machines import enclosure
from dev.machines.landscape import Landscape
from dev.machines.losses import REPLACED_POSTGRES, Loss, Stage, every
from dev.machines.machine import MachineError
from dev.machines.rabbits import TICK_SECONDS
from dev.machines.sender import Answers, AnyReceiver
from sandbox.simulate.account import Account
from sandbox.simulate.engine import Event

RATE = 40.0
# Between one recovery and the next loss.
PAUSE_SECONDS = (0.5, 1.5)
# How much longer fifteen machines may take to be whole again than the losses say, on two cores.
LONGER = 1.4
DELAY_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; `only` is the beginning of the titles of the losses that are wanted."""

    seed: int
    broker: str
    rate: float = RATE
    root: Path = ROOT
    only: Sequence[str] = ()
    log_directory: Path | None = None
    tick_seconds: int = TICK_SECONDS


@dataclass(frozen=True, slots=True)
class Happened:
    """A loss as it went: how long until all was whole, and the longest delay of its time."""

    title: str
    seconds: float
    accepted: int
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done and what came of it.

    `failed` events had a try that failed, or are dead; of `unfinished` ones a lost or frozen worker
    left a try without an end, which is nothing of theirs.
    """

    seed: int
    broker: str
    rate: float
    happened: Sequence[Happened]
    skipped: Sequence[str]
    seconds: float
    verdict: Verdict
    failed: int
    unfinished: int
    late_answers: Sequence[str]
    slowest_answer_seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        is_late = self.verdict.longest_delay_seconds > DELAY_SECONDS_MAX
        return self.verdict.is_clean and not (self.failed or self.late_answers or is_late)


@dataclass(slots=True)
class _Diary:
    """When each loss began and when all was whole again, in Unix time."""

    entries: list[tuple[str, float, float]] = field(default_factory=list)

    def told(self, load: Load, delays: dict[str, float]) -> list[Happened]:
        """Every loss with what was accepted in its time."""
        happened = []
        for title, began, ended in self.entries:
            ids = [key for key, at in load.accepted.items() if began <= at <= ended]
            longest = max((delays.get(key, 0.0) for key in ids), default=0.0)
            happened.append(Happened(title, ended - began, len(ids), longest))
        return happened


def run(plan: Plan, tell: Callable[[str], None]) -> Outcome:
    """Do a whole run in a directory of its own; `tell` hears of every loss.

    Raises `MachineError` when something does not come back by itself.
    """
    chance = random.Random(plan.seed)  # noqa: S311 - it decides an order, no secret.
    began = time.monotonic()
    with ExitStack() as stack:
        place = _place(stack, plan)
        following = next_release(place / "next", _next_dictionary())
        landscape = stack.enter_context(
            Landscape(
                place,
                tell,
                root=plan.root,
                with_rabbits=plan.broker == "rabbitmq",
                tick_seconds=plan.tick_seconds,
            )
        )
        order, skipped = _order(landscape, plan, chance)
        seconds = SPREAD * _planned_seconds(order)
        account = simulated(plan.seed, deliveries=plan.rate * seconds, versions="mixed")
        landscape.await_whole()
        tell(f"all machines are up after {time.monotonic() - began:.0f} s")
        answers = Answers()
        load = _load(plan, landscape, account.events, answers)
        stack.callback(load.stop)
        load.start()
        stage = Stage(landscape, load, answers, chance, following)
        diary = _Diary()
        for number, loss in enumerate(order):
            load.spread(_planned_seconds(order[number:]))
            _inflict(loss, stage, diary, tell)
        if not load.finish(FINISH_SECONDS_MAX):
            tell("not everything was accepted in time")
        outcome = _judged(plan, stage, diary, account)
        return replace(outcome, skipped=skipped, seconds=time.monotonic() - began)


def _planned_seconds(losses: Sequence[Loss]) -> float:
    return LONGER * sum(loss.seconds for loss in losses)


def _judged(plan: Plan, stage: Stage, diary: _Diary, account: Account) -> Outcome:
    landscape, load = stage.landscape, stage.load
    verdict = judge(landscape, load, account.expected.users(asking=False), len(account.events))
    delays, failed, unfinished = _delays(landscape, load)
    return Outcome(
        seed=plan.seed,
        broker=plan.broker,
        rate=plan.rate,
        happened=diary.told(load, delays),
        skipped=(),
        seconds=0.0,
        verdict=verdict,
        failed=failed,
        unfinished=unfinished,
        late_answers=stage.answers.late,
        slowest_answer_seconds=stage.answers.slowest_seconds,
    )


def _place(stack: ExitStack, plan: Plan) -> Path:
    if plan.log_directory:
        place = plan.log_directory.absolute()
        place.mkdir(parents=True)
    else:
        temporary = tempfile.TemporaryDirectory(prefix="billing-machines-")
        place = Path(stack.enter_context(temporary))
    place.chmod(0o711)  # The engines' user passes through.
    return place


def _order(landscape: Landscape, plan: Plan, chance: random.Random) -> tuple[list[Loss], list[str]]:
    """The losses in the order of this seed, and those that are left out, with the reason."""
    lacks = {}
    if not enclosure.is_enclosed():
        lacks["links"] = f"no networks of its own ({enclosure.reason_against()})"
    if not landscape.rabbits:
        lacks["rabbits"] = "Redis is the broker"
    chosen: list[Loss] = []
    skipped: list[str] = []
    losses = every(landscape)
    if plan.only:
        skipped.append(f"with seed {plan.seed} all but: {', '.join(plan.only)}")
    # The old one is first of the list while nobody else has been promoted.
    for loss in [REPLACED_POSTGRES, *chance.sample(losses, len(losses))]:
        if plan.only and not loss.title.startswith(tuple(plan.only)):
            continue
        if missing := loss.wants & lacks.keys():
            skipped.append(f"{loss.title}: {lacks[min(missing)]}")
        else:
            chosen.append(loss)
    return chosen, skipped


def _load(plan: Plan, landscape: Landscape, events: Sequence[Event], answers: Answers) -> Load:
    receivers = landscape.of("r")
    opened = iter(range(1_000))
    return Load(
        landscape.base_url,
        landscape.settings["STRIPE_WEBHOOK_SECRET"],
        events,
        rate=plan.rate,
        seed=plan.seed,
        connect=lambda: AnyReceiver(receivers, next(opened), answers),
    )


def _inflict(loss: Loss, stage: Stage, diary: _Diary, tell: Callable[[str], None]) -> None:
    time.sleep(stage.chance.uniform(*PAUSE_SECONDS))
    if not stage.load.is_sending:
        raise MachineError(f"the load was over before: {loss.title}")
    began = time.time()
    loss.inflict(stage)
    stage.landscape.await_whole()
    diary.entries.append((loss.title, began, time.time()))
    tell(f"{loss.title}: whole after {time.time() - began:.1f} s")


def _delays(landscape: Landscape, load: Load) -> tuple[dict[str, float], int, int]:
    """Each event's delay from its 2xx; how many had a failed try, and an unfinished one."""
    with (
        contextlib.closing(psycopg2.connect(landscape.settings["DATABASE_URL"])) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT id, extract(epoch FROM applied_at) FROM webhook_events"
            " WHERE applied_at IS NOT NULL"
        )
        applied = {str(key): float(moment) for key, moment in cursor}
        cursor.execute(
            "SELECT count(DISTINCT event_id) FILTER (WHERE error IS DISTINCT FROM %(killed)s),"
            " count(DISTINCT event_id) FILTER (WHERE error = %(killed)s)"
            " FROM event_attempts WHERE status IN ('failed', 'dead')",
            {"killed": KILLED},
        )
        failed, unfinished = cursor.fetchone() or (0, 0)
    accepted = load.accepted.items()
    delays = {key: applied[key] - at for key, at in accepted if key in applied}
    return delays, int(failed), int(unfinished)


def _next_dictionary() -> bytes:
    """The dictionary that a release after this one brings."""
    chosen: list[Any] = [*samples(seed=3)[:1_000]]
    trained = zstandard.train_dictionary(16_384, chosen, dict_id=NEXT_DICTIONARY)
    return trained.as_bytes()
