"""`whole`: accepted and applied at once, everything on the same two cores, as on a small machine.

Receiver, worker of two processes and scheduler run as in production, the load driver beside them.
Saturated, the rate counts until the last event is in the tables. How long an event takes from its
200 to the tables is told from PostgreSQL's own commit times, at two paces and at saturation.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import corpus
from bench.backlog import require_applied, warm
from bench.figures import Findings, percentile
from bench.load import Aim, Volley, fire
from bench.scale import SECONDS_MAX, Scale
from bench.stand import SECRET, START_SECONDS_MAX, Place, Stand, StandError
from bench.trees import CpuMeter, Tree
from sandbox.simulate.engine import Event

WORKER_PROCESSES = 2
PACES = (50.0, 500.0)
POLL_SECONDS = 0.05
MILLISECONDS = 1000.0
WARM_RATE = 200.0
BEAT_KEYS = "billing:beat:"
LEFT_OVER_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole way of doing it: what is posted to, what must end in the tables, who works."""

    name: str
    place: Place
    ports: tuple[int, ...]
    trees: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """What came of a load: events applied in so many seconds, and what it cost by tree.

    `delays` are seconds from the answer to the commit, negative where the effect came first.
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

    def cpu_us(self) -> float:
        """Microseconds of CPU an event, everything but the driver."""
        return sum(self.cpu_seconds.values()) / self.events * 1e6


def measure(stand: Stand, scale: Scale) -> Findings:
    """Saturation and both paces in turn, several rounds."""
    found = Findings("whole")
    chosen = corpus.events(scale.events, "whole")
    product = start_product(stand, scale)
    saturated: list[Passed] = []
    paced: dict[float, list[Passed]] = {rate: [] for rate in PACES}
    for _ in range(scale.rounds):
        saturated.append(passed(product, chosen, SECONDS_MAX / 2))
        for rate in PACES:
            paced[rate].append(passed(product, chosen, scale.paced_seconds, rate))
    tell_saturated(found, "", "product, two cores", saturated)
    for rate, rounds in paced.items():
        _tell_delays(found, f"at_{rate:.0f}", f"200 to applied at {rate:.0f}/s", rounds)
    _tell_delays(found, "saturated", "200 to applied at saturation", saturated)
    found.note(f"whole: {corpus.mean_bytes(chosen):,.0f} bytes an event on average")
    return found


def start_product(stand: Stand, scale: Scale) -> Whole:
    """Every process of the product, warm."""
    place = stand.place()
    worker = stand.worker(place, processes=WORKER_PROCESSES)
    warming = corpus.events(scale.warm_events, "warm")
    warm(place, worker, warming, START_SECONDS_MAX)
    # After the warming, whose unsynced Redis it would not trust.
    receiver, port = stand.receiver(place)
    beat = _beat(stand, place)
    trees = (receiver, worker, beat, stand.postgres, stand.valkey)
    product = Whole("product", place, (port,), trees)
    passed(product, warming, 1.0, WARM_RATE)
    return product


def _beat(stand: Stand, place: Place) -> Tree:
    """The scheduler, once it schedules: until then it only costs."""
    beat = stand.product("beat", ("beat",), place)
    with place.redis() as client:
        stand.await_true(lambda: bool(client.keys(f"{BEAT_KEYS}*")), beat, "schedules")
    return beat


def passed(
    whole: Whole, chosen: Sequence[Event], seconds: float, rate: float | None = None
) -> Passed:
    """Send events, and wait until what was accepted is applied."""
    whole.place.empty()
    wanted = chosen if rate is None else chosen[: max(1, int(rate * seconds))]
    requests = corpus.requests(wanted, SECRET)
    meter = CpuMeter(whole.trees)
    meter.start()
    began = time.perf_counter()
    volley = fire(requests, Aim(whole.ports, seconds, rate))
    volley.require_success(whole.name)
    accepted = volley.statuses[200]
    count = _awaited(whole, accepted, began + SECONDS_MAX)
    used, elapsed = meter.stop(), time.perf_counter() - began
    if count < accepted:
        # The rest is not measured, but must not fall into the next round.
        _awaited(whole, accepted, time.perf_counter() + LEFT_OVER_SECONDS_MAX)
    require_applied(whole.place, accepted)
    committed = _committed(whole.place)
    if count == accepted:
        elapsed = max(committed.values()) - volley.began
    delays = [
        committed[wanted[number].id] - answered
        for number, answered in volley.answered.items()
        if wanted[number].id in committed
    ]
    return Passed(count, elapsed, used, volley, delays, len(set(committed.values())))


def _awaited(whole: Whole, accepted: int, deadline: float) -> int:
    """How many events were applied by the time that all or the deadline has come."""
    with whole.place.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM webhook_events WHERE applied_at IS NOT NULL")
            row = cursor.fetchone()
            count = int(row[0]) if row else 0
            if count >= accepted or time.perf_counter() > deadline:
                break
            time.sleep(POLL_SECONDS)
    if not count:
        raise StandError(f"{whole.name} applied none of {accepted} accepted events")
    return count


def _committed(place: Place) -> Mapping[str, float]:
    """When the effect of each event was there for others to see, as Unix time, by id."""
    with place.cursor() as cursor:
        cursor.execute(
            "SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
            " FROM webhook_events WHERE applied_at IS NOT NULL"
        )
        return {str(event_id): float(at) for event_id, at in cursor.fetchall()}


def tell_saturated(found: Findings, prefix: str, title: str, rounds: Sequence[Passed]) -> None:
    """Rate, cost, and what the driver took, of a saturated whole."""
    tellings: Sequence[tuple[str, str, str, Callable[[Passed], float]]] = (
        ("rate", "accepted and applied", "events/s", lambda each: each.rate),
        ("accepted", "accepted", "events/s", lambda each: each.volley.rate),
        ("cpu", "CPU of all processes", "µs/event", Passed.cpu_us),
        ("batch", "events a transaction", "", lambda each: each.events / each.transactions),
        ("driver", "driver", "cores", lambda each: each.volley.driver_share),
    )
    for key, what, unit, value in tellings:
        found.add(f"{prefix}{key}", f"{title}: {what}", unit, map(value, rounds))
    for name in rounds[0].cpu_seconds:
        spent = [each.cpu_seconds[name] / each.events * 1e6 for each in rounds]
        found.add(f"{prefix}cpu.{name}", f"{title}: CPU of {name}", "µs/event", spent)


def _tell_delays(found: Findings, key: str, title: str, rounds: Sequence[Passed]) -> None:
    for word, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        values = [percentile(each.delays, share) * MILLISECONDS for each in rounds]
        found.add(f"{key}.{word}", f"{title}: {word}", "ms", values)
    batches = [each.events / each.transactions for each in rounds]
    found.add(f"{key}.batch", f"{title}: events a transaction", "", batches)
