"""The driver: one product, one load, faults in an order that follows from the seed, one verdict."""

import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from dev.faults.disk import small_disk
from dev.faults.hearing import Audience, audience
from dev.faults.kinds import Fault
from dev.faults.load import Load
from dev.faults.product import NO_STRIPE, ROOT, Product
from dev.faults.stage import FaultError, Stage
from dev.faults.stripe import KEY, stand_in, with_cut_lists
from dev.faults.verdict import Verdict, judge
from sandbox.simulate.access import DatedAccount
from sandbox.simulate.expected import Expectation
from sandbox.simulate.plans import SAMPLE_PLANS, read_file, read_patience
from sandbox.simulate.play import play
from sandbox.simulate.scene import DAY
from sandbox.simulate.versions import BY_CHOICE

# The load is spread over the faults and some of it is left for after them.
SPREAD = 1.2
PAUSE_SECONDS = (0.3, 1.5)
FINISH_SECONDS_MAX = 120.0
# By then the supervisor has seen what died.
NOTICED_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; `rate` is deliveries a second, at which the load lasts as long as the faults.

    Where they take longer it is sent more slowly, so that no fault finds it over.
    `with_stripe`: the product has a key, a Stripe to ask, and events that make it ask.
    """

    faults: Sequence[Fault]
    seed: int
    rate: float = 60.0
    root: Path = ROOT
    on_small_disk: bool = False
    with_stripe: bool = False
    log_path: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done and what came of it."""

    seed: int
    faults: Mapping[str, int]
    seconds: float
    verdict: Verdict


def run(plan: Plan, tell: Callable[[str], None] = lambda _line: None) -> Outcome:
    """Do a whole run in a directory of its own; `tell` hears of every fault.

    Raises `ProductError` when the product does not come back by itself after a fault, and
    `FaultError` when a fault could not be injected as meant, or nothing was being sent then.
    """
    chance = random.Random(plan.seed)  # noqa: S311 - it decides an order, no secret.
    order = chance.sample(plan.faults, len(plan.faults))
    seconds = SPREAD * _planned_seconds(order)
    # What Stripe answers is of the version that it is asked with, which is a new one.
    versions = "new" if plan.with_stripe else "mixed"
    account = simulated(plan.seed, deliveries=plan.rate * seconds, versions=versions)
    began = time.monotonic()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="billing-faults-")))
        place.chmod(0o711)  # The engines' user passes through.
        # Not on the disk that is filled: a full log would be a fault of ours.
        log_path = plan.log_path or place / "product.log"
        if plan.on_small_disk:
            place = stack.enter_context(small_disk(place / "disk"))
        stripe, events, named = None, account.events, NO_STRIPE
        if plan.with_stripe:
            stripe = stack.enter_context(stand_in(account))
            events = with_cut_lists(events)
            named = {"STRIPE_API_BASE": stripe.url, "STRIPE_SECRET_KEY": KEY}
        product = stack.enter_context(
            Product(place / "data", root=plan.root, log_path=log_path, stripe=named)
        )
        secret = product.settings["STRIPE_WEBHOOK_SECRET"]
        load = Load(product.base_url, secret, events, rate=plan.rate, seed=plan.seed)
        stack.callback(load.stop)
        expected = _expected(account, plan)
        users = [expectation.user_id for expectation in expected]
        hears = stack.enter_context(audience(product, users, len(order), seed=plan.seed))
        load.start()
        for number, fault in enumerate(order):
            load.spread(_planned_seconds(order[number:]))
            _inject(fault, Stage(product, load, chance, stripe), hears, tell)
        if not load.finish(FINISH_SECONDS_MAX):
            tell("not everything was accepted in time")
        hears.calm()
        verdict = judge(product, load, expected, len(events), stripe=stripe, log_path=log_path)
        verdict = replace(verdict, hearing=hears.judge())
    return Outcome(plan.seed, _titles(order), time.monotonic() - began, verdict)


def _planned_seconds(faults: Sequence[Fault]) -> float:
    return sum(fault.seconds + sum(PAUSE_SECONDS) / 2 for fault in faults)


def _expected(account: DatedAccount, plan: Plan) -> tuple[Expectation, ...]:
    """What every user must have, and may use."""
    expected = account.expected.users(asking=plan.with_stripe)
    return account.entitled(expected, read_file(SAMPLE_PLANS), read_patience(SAMPLE_PLANS))


def _inject(fault: Fault, stage: Stage, hears: Audience, tell: Callable[[str], None]) -> None:
    stage.pause(*PAUSE_SECONDS)
    hears.disturb()
    if not stage.load.is_sending:
        raise FaultError(f"the load was over before: {fault.title}")
    accepted, began = len(stage.load.accepted), time.monotonic()
    fault.inject(stage)
    time.sleep(NOTICED_SECONDS)
    stage.product.await_whole()
    spent = time.monotonic() - began
    tell(f"{fault.title}: {spent:.1f} s, {len(stage.load.accepted) - accepted} accepted meanwhile")


def simulated(seed: int, *, deliveries: float, versions: str) -> DatedAccount:
    """A simulated account with about the events that so many deliveries need."""
    # A customer causes some 21 events, and three in ten of those are delivered again.
    customers = max(20, round(deliveries / 29))
    today = int(time.time()) // DAY * DAY
    account = DatedAccount(seed=seed, run=f"faults{seed}", starts_at=today)
    play(account, read_file(SAMPLE_PLANS), BY_CHOICE[versions], customers=customers, today=today)
    return account


def _titles(faults: Sequence[Fault]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for fault in faults:
        counts[fault.title] = counts.get(fault.title, 0) + 1
    return counts
