"""Worker alone, one process: new events, the same once more, and events of no use."""

from collections import defaultdict
from collections.abc import Sequence

from bench import corpus
from bench.against.draining import drain
from bench.against.sides import OURS, Pair, Side, compare
from bench.backlog import Drained
from bench.figures import Findings, ratios
from bench.scale import SECONDS_MAX, Scale
from bench.stand import Stand
from bench.trees import Tree
from bench.turns import in_turn
from sandbox.simulate.engine import Event

WHATS = {
    "new": "worker alone, new events",
    "duplicates": "worker alone, duplicates",
    "ignored": "worker alone, ignored events",
}


def measure_apply(found: Findings, stand: Stand, scale: Scale, pair: Pair) -> None:
    """A worker of each side, filled and drained in turn."""
    chosen = corpus.without(corpus.events(scale.events, "apply"), pair.ignored)
    useless = corpus.ignored(scale.events, "useless")
    workers = {side.name: stand.worker(side.place, processes=1) for side in pair}
    for side in pair:
        _round(stand, side, workers[side.name], chosen[: scale.warm_events], useless[:100])
    done: dict[str, dict[str, list[Drained]]] = defaultdict(lambda: defaultdict(list))
    for number in range(scale.whole_rounds):
        for side in in_turn(tuple(pair), number):
            stand.progress.step(f"apply, round {number + 1} of {scale.whole_rounds}: {side.name}")
            for what, drained in _round(stand, side, workers[side.name], chosen, useless).items():
                done[what][side.name].append(drained)
    for worker in workers.values():
        stand.stop(worker)
    for what, by_side in done.items():
        _tell(found, what, by_side)
    new = [each.rate for each in done["new"][OURS]]
    for what in ("duplicates", "ignored"):
        rates = ratios((each.rate for each in done[what][OURS]), new)
        found.add(f"{what}.against_new", f"{WHATS[what]} : new ones, ours", "x", rates)


def _round(
    stand: Stand, side: Side, worker: Tree, chosen: Sequence[Event], useless: Sequence[Event]
) -> dict[str, Drained]:
    """Everything once; the place is empty afterwards."""
    side.place.empty()
    found = {"new": drain(stand, side, worker, chosen, SECONDS_MAX)}
    if found["new"].events == len(chosen):
        side.place.require_applied(chosen)
        found["duplicates"] = drain(stand, side, worker, chosen, SECONDS_MAX)
    found["ignored"] = drain(stand, side, worker, useless, SECONDS_MAX)
    side.place.empty()
    return found


def _tell(found: Findings, what: str, by_side: dict[str, list[Drained]]) -> None:
    rates = {name: [each.rate for each in rounds] for name, rounds in by_side.items()}
    compare(found, f"apply.{what}.rate", f"{WHATS[what]}: applied", "events/s", rates)
    spent = {
        name: [each.cpu_us("worker", "PostgreSQL") for each in rounds]
        for name, rounds in by_side.items()
    }
    title = f"{WHATS[what]}: CPU of worker and PostgreSQL"
    compare(found, f"apply.{what}.cpu", title, "µs/event", spent)
