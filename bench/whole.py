"""`whole`: accepted and applied at once, everything on the same two cores, as on a small machine.

Receiver, worker of two processes and scheduler run as in production, the load driver beside them.
So do, each with tables of its own and in turn with the product, another checkout of it where one
is named, the packages that do such work, and the usual forms. Saturated, the rate counts until the
last event is in the tables. How long an event takes from its 200 to the tables is told from
PostgreSQL's own commit times, at two paces and at saturation.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from bench import corpus
from bench.contestants import OURS, THEN, Whole, celery_form, direct_form, start_product
from bench.figures import Findings, percentile, ratios
from bench.passing import Passed, passed
from bench.place import ROOT
from bench.rivals.cache import UnavailableError
from bench.rivals.dj_stripe import dj_stripe
from bench.rivals.sync_engine import sync_engine
from bench.scale import SECONDS_MAX, Scale
from bench.stand import Stand
from bench.turns import in_turn
from sandbox.simulate.engine import Event

PACES = (50.0, 500.0)
# The pace at which the product is compared with another checkout of it.
COMPARED_PACE = 500.0
MILLISECONDS = 1000.0
# A form that takes one event at a time still has most of its load queued when this is over.
SHOT_SECONDS = SECONDS_MAX / 2
# A package that cannot be had is left out, and the reason is told.
PACKAGES: Mapping[str, Callable[[Stand], Whole]] = {
    "stripe-sync-engine": sync_engine,
    "dj-stripe": dj_stripe,
}

Saturated = dict[str, list[Passed]]
Paced = dict[tuple[str, float], list[Passed]]


def measure(stand: Stand, scale: Scale) -> Findings:
    """Every way in turn at saturation, the product at both paces too, several rounds."""
    found = Findings("whole")
    products = _products(stand, scale)
    rivals = list(_rivals(stand, found))
    ignored = frozenset[str]().union(*(each.ignored for each in products))
    chosen = corpus.without(corpus.events(scale.events, "whole"), ignored)
    for each in rivals:
        passed(each, chosen[: scale.rival_events // 4], SHOT_SECONDS)
    saturated, paced = _rounds(stand, scale, products, rivals, chosen)
    for each in (*products, *rivals):
        prefix = "" if each.name == OURS else f"{each.name}."
        _tell_saturated(found, prefix, f"{each.title}, two cores", saturated[each.name])
        if each in products:
            _tell_all_delays(found, prefix, each, saturated, paced)
    _tell_ratios(found, (*products[1:], *rivals), saturated)
    if stand.other:
        ours, theirs = (_p50s(paced[name, COMPARED_PACE]) for name in (OURS, THEN))
        title = f"product : the other checkout, 200 to applied at {COMPARED_PACE:.0f}/s: p50"
        found.add("against_then.at_500.p50", title, "x", ratios(ours, theirs))
    for each in rivals:
        refused = sum(one.refused for one in saturated[each.name])
        if refused:
            sent = refused + sum(one.events for one in saturated[each.name])
            found.note(f"whole: {each.title} refused {refused:,} of {sent:,} events")
    _note(found, scale, chosen, ignored)
    return found


def _rounds(
    stand: Stand,
    scale: Scale,
    products: Sequence[Whole],
    rivals: Sequence[Whole],
    chosen: Sequence[Event],
) -> tuple[Saturated, Paced]:
    saturated: Saturated = defaultdict(list)
    paced: Paced = defaultdict(list)
    for number in range(scale.whole_rounds):
        turn = f"round {number + 1} of {scale.whole_rounds}"
        for each in in_turn((*products, *rivals), number):
            stand.progress.step(f"{turn}: {each.title}")
            sent = chosen if each.is_quick else chosen[: scale.rival_events]
            saturated[each.name].append(passed(each, sent, SHOT_SECONDS))
        for pace in PACES:
            for each in in_turn(products, number):
                stand.progress.step(f"{turn}: {each.title} at {pace:.0f}/s")
                paced[each.name, pace].append(passed(each, chosen, scale.paced_seconds, pace))
    return saturated, paced


def _products(stand: Stand, scale: Scale) -> list[Whole]:
    """The product, and that of the other checkout where there is one."""
    roots = [ROOT, *([stand.other] if stand.other else [])]
    return [start_product(stand, stand.place(root), scale) for root in roots]


def _rivals(stand: Stand, found: Findings) -> Iterator[Whole]:
    for name, start in PACKAGES.items():
        stand.progress.step(f"{name} is made ready")
        try:
            yield start(stand)
        except UnavailableError as error:
            found.note(f"whole: {name} was skipped: {error}")
    yield celery_form(stand)
    yield direct_form(stand)


def _tell_saturated(found: Findings, prefix: str, title: str, rounds: Sequence[Passed]) -> None:
    """Rate, cost, and what the driver took."""
    tellings: Sequence[tuple[str, str, str, Callable[[Passed], float]]] = (
        ("rate", "accepted and applied", "events/s", lambda each: each.rate),
        ("accepted", "accepted", "events/s", lambda each: each.volley.rate),
        ("cpu", "CPU of all processes", "µs/event", Passed.cpu_us),
        ("driver", "driver", "cores", lambda each: each.volley.driver_share),
    )
    for key, what, unit, value in tellings:
        found.add(f"{prefix}{key}", f"{title}: {what}", unit, map(value, rounds))
    for name in rounds[0].cpu_seconds:
        spent = [each.cpu_seconds[name] / each.events * 1e6 for each in rounds]
        found.add(f"{prefix}cpu.{name}", f"{title}: CPU of {name}", "µs/event", spent)


def _tell_all_delays(
    found: Findings, prefix: str, each: Whole, saturated: Saturated, paced: Paced
) -> None:
    for pace in PACES:
        title = f"{each.title}, 200 to applied at {pace:.0f}/s"
        _tell_delays(found, f"{prefix}at_{pace:.0f}", title, paced[each.name, pace])
    title = f"{each.title}, 200 to applied at saturation"
    _tell_delays(found, f"{prefix}saturated", title, saturated[each.name])


def _tell_delays(found: Findings, key: str, title: str, rounds: Sequence[Passed]) -> None:
    for word, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        values = [percentile(each.delays, share) * MILLISECONDS for each in rounds]
        found.add(f"{key}.{word}", f"{title}: {word}", "ms", values)
    batches = [each.events / each.transactions for each in rounds]
    found.add(f"{key}.batch", f"{title}: events a transaction", "", batches)


def _tell_ratios(found: Findings, others: Sequence[Whole], saturated: Saturated) -> None:
    """The product's rate and cost over each other's, round by round."""
    ours = saturated[OURS]
    for each in others:
        theirs = saturated[each.name]
        title = f"product : {each.title}"
        rates = ratios((one.rate for one in ours), (one.rate for one in theirs))
        found.add(f"against_{each.name}", f"{title}, accepted and applied", "x", rates)
        costs = ratios((one.cpu_us() for one in ours), (one.cpu_us() for one in theirs))
        found.add(f"against_{each.name}.cpu", f"{title}, CPU of all processes", "x", costs)


def _p50s(rounds: Sequence[Passed]) -> list[float]:
    return [percentile(each.delays, 0.5) for each in rounds]


def _note(found: Findings, scale: Scale, chosen: Sequence[Event], ignored: frozenset[str]) -> None:
    found.note(f"whole: {corpus.mean_bytes(chosen):,.0f} bytes an event on average")
    found.note(
        "whole: rivals keep no order, lock no customers and take nothing back;"
        f" {scale.rival_events:,} events a round for those that take one at a time,"
        f" {len(chosen):,} for the others"
    )
    if ignored:
        types = ", ".join(sorted(ignored))
        found.note(f"whole: left out, as the other checkout has no use for it: {types}")
