"""A load that passes through a whole way of doing it, to the last effect."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import corpus
from bench.contestants import Whole
from bench.load import SUCCESS, Aim, Volley, fire
from bench.place import StandError
from bench.scale import SECONDS_MAX
from bench.stand import SECRET
from bench.trees import CpuMeter
from sandbox.simulate.engine import Event

POLL_SECONDS = 0.05
LEFT_OVER_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Passed:
    """What came of a load: events applied in so many seconds, and what it cost by tree.

    `delays` are seconds from the answer to the commit, negative where the effect came first.
    `transactions` is 0 where the tables do not tell of single events.
    """

    events: int
    seconds: float
    cpu_seconds: Mapping[str, float]
    volley: Volley
    delays: Sequence[float]
    transactions: int

    @property
    def rate(self) -> float:
        """Events accepted and applied a second."""
        return self.events / self.seconds

    @property
    def refused(self) -> int:
        """Events that were answered with an error, or not at all; Stripe would send them again."""
        return self.volley.statuses.total() - self.volley.statuses[SUCCESS]

    def cpu_us(self) -> float:
        """Microseconds of CPU an event, everything but the driver."""
        return sum(self.cpu_seconds.values()) / self.events * 1e6


def passed(
    whole: Whole, chosen: Sequence[Event], seconds: float, rate: float | None = None
) -> Passed:
    """Send events, and wait until what was accepted is applied."""
    whole.store.empty()
    wanted = chosen if rate is None else chosen[: max(1, int(rate * seconds))]
    requests = corpus.requests(wanted, SECRET)
    meter = CpuMeter(whole.trees)
    meter.start()
    began = time.perf_counter()
    volley = fire(requests, Aim(whole.ports, seconds, rate))
    if not whole.may_fail:
        volley.require_success(whole.title)
    accepted = [wanted[number] for number in sorted(volley.answered)]
    count = _awaited(whole, len(accepted), began + SECONDS_MAX)
    used, elapsed = meter.stop(), time.perf_counter() - began
    if count < len(accepted):
        # The rest is not measured, but must not fall into the next round.
        _awaited(whole, len(accepted), time.perf_counter() + LEFT_OVER_SECONDS_MAX)
    whole.store.require_applied(accepted)
    committed = whole.store.committed()
    if not committed:
        # Such a way answers when all is done, and its tables do not tell of single events.
        return Passed(count, volley.seconds, used, volley, (), 0)
    if count == len(accepted):
        elapsed = max(committed.values()) - volley.began
    delays = [
        committed[wanted[number].id] - answered
        for number, answered in volley.answered.items()
        if wanted[number].id in committed
    ]
    return Passed(count, elapsed, used, volley, delays, len(set(committed.values())))


def _awaited(whole: Whole, accepted: int, deadline: float) -> int:
    """How many events were applied by the time that all or the deadline has come."""
    count = whole.store.applied()
    if count is None:
        return accepted
    while count < accepted and time.perf_counter() < deadline:
        time.sleep(POLL_SECONDS)
        count = whole.store.applied() or 0
    if not count:
        raise StandError(f"{whole.title} applied none of {accepted} accepted events")
    return count
