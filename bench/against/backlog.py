"""A long queue, drained by two worker processes of each side, one side after the other."""

from collections import defaultdict

from bench import corpus
from bench.against.draining import drain, drain_filled
from bench.against.sides import Pair, Side, compare
from bench.backlog import Drained
from bench.figures import Findings
from bench.scale import MILLION_BACKLOG, Scale
from bench.stand import Stand
from bench.turns import in_turn

WORKER_PROCESSES = 2
SECONDS_MAX = 1_200.0


def measure_backlog(found: Findings, stand: Stand, scale: Scale, pair: Pair) -> None:
    """The largest backlog of the scale; a million only once, for nothing else takes as long."""
    events = max(scale.backlogs)
    done: dict[str, list[Drained]] = defaultdict(list)
    for number in range(1 if events >= MILLION_BACKLOG else scale.rounds):
        for side in in_turn(tuple(pair), number):
            drained, queued = _drained(stand, scale, side, pair.ignored, number)
            done[side.name].append(drained)
            if drained.events < queued:
                found.note(f"against: {side.name} applied {drained.events:,} of {queued:,} in time")
    title = f"{events:,} events queued, two worker processes"
    # For each event, so that a queue that did not end in time is not the shorter for it.
    minutes = {
        name: [each.seconds / 60 / each.events * 1e6 for each in rounds]
        for name, rounds in done.items()
    }
    compare(found, "backlog.time", f"{title}: time of a million", "min", minutes)
    spent = {name: [each.cpu_us() for each in rounds] for name, rounds in done.items()}
    compare(found, "backlog.cpu", f"{title}: CPU, engines too", "µs/event", spent)


def _drained(
    stand: Stand, scale: Scale, side: Side, ignored: frozenset[str], number: int
) -> tuple[Drained, int]:
    """Fill a side's queue and have a warm worker of its own empty it; how many were queued."""
    events = max(scale.backlogs)
    side.place.empty()
    worker = stand.worker(side.place, processes=WORKER_PROCESSES)
    warming = corpus.without(corpus.events(scale.warm_events, "warm"), ignored)
    drain(stand, side, worker, warming, SECONDS_MAX)
    side.place.empty()
    queued = 0
    for chunk in corpus.chunks(events, f"backlog{events}-{number}-"):
        chosen = corpus.without(chunk, ignored)
        side.fill(chosen)
        queued += len(chosen)
        stand.progress.step(f"backlog, round {number + 1}: {side.name} has queued {queued:,}")
    stand.progress.step(f"backlog, round {number + 1}: {side.name} drains {queued:,}")
    done = drain_filled(stand, side, worker, SECONDS_MAX)
    stand.stop(worker)
    return done, queued
