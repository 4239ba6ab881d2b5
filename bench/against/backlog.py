"""A long queue, drained by two worker processes of each side, one side after the other."""

from bench import corpus
from bench.against.draining import drain, drain_filled
from bench.against.sides import Pair, compare
from bench.backlog import Drained
from bench.figures import Findings
from bench.scale import Scale
from bench.stand import Stand

WORKER_PROCESSES = 2
SECONDS_MAX = 1_200.0


def measure_backlog(found: Findings, stand: Stand, scale: Scale, pair: Pair) -> None:
    """The largest backlog of the scale, once: nothing else takes as long."""
    events = max(scale.backlogs)
    done: dict[str, Drained] = {}
    for side in pair:
        side.place.empty()
        # Warm, as a worker is that a backlog has come over.
        worker = stand.worker(side.place, processes=WORKER_PROCESSES)
        warming = corpus.without(corpus.events(scale.warm_events, "warm"), pair.ignored)
        drain(stand, side, worker, warming, SECONDS_MAX)
        side.place.empty()
        queued = 0
        for chunk in corpus.chunks(events, f"backlog{events}-"):
            stand.progress.step(f"backlog: {queued:,} of {events:,} are queued, {side.name}")
            chosen = corpus.without(chunk, pair.ignored)
            side.fill(chosen)
            queued += len(chosen)
        stand.progress.step(f"backlog: {queued:,} events are drained, {side.name}")
        done[side.name] = drain_filled(stand, side, worker, SECONDS_MAX)
        stand.stop(worker)
        if done[side.name].events < queued:
            found.note(
                f"against: of {queued:,} queued events"
                f" {done[side.name].events:,} were applied in time by {side.name}"
            )
    # Time a queued event, so that one that did not end in time is not the quicker for it.
    title = f"{queued:,} queued events, two worker processes: time a million"
    minutes = {name: [each.seconds / 60 / each.events * 1e6] for name, each in done.items()}
    compare(found, "backlog.time", title, "min", minutes)
    spent = {name: [each.cpu_us()] for name, each in done.items()}
    title = f"{queued:,} queued events, two worker processes: CPU, engines too"
    compare(found, "backlog.cpu", title, "µs/event", spent)
