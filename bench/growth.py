"""`growth`: what an event costs when many are stored already.

Databases of every size stand side by side, each with a worker of two processes, and are visited in
turn, several times: a slow stretch of the host falls on all of them. A first visit to each, which
warms worker and pages, does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench import corpus
from bench.backlog import Drained, Waiting, drained, fill_stream
from bench.figures import Findings, ratios
from bench.place import Place
from bench.prefill import grow
from bench.scale import SECONDS_MAX, Scale
from bench.stand import Stand
from bench.trees import CpuMeter, Tree
from bench.turns import in_turn
from sandbox.simulate.engine import Event

WORKER_PROCESSES = 2


@dataclass(frozen=True, slots=True)
class _Size:
    """A database that holds so many events, and who applies more."""

    rows: int
    place: Place
    worker: Tree


def measure(stand: Stand, scale: Scale) -> Findings:
    """Fill them all, then visit them in turn."""
    found = Findings("growth")
    sizes = _sizes(stand, scale)
    done: dict[int, list[Drained]] = {size.rows: [] for size in sizes}
    for number in range(scale.whole_rounds):
        for size in in_turn(sizes[::-1], number):
            stand.progress.step(f"round {number + 1} of {scale.whole_rounds}: {size.rows:,} rows")
            chosen = corpus.events(scale.growth_events, f"rows{size.rows}-{number}-")
            done[size.rows].append(_visited(stand, size, chosen))
    for rows, rounds in done.items():
        _tell(found, rows, rounds)
    _tell_growth(found, done)
    for size in sizes:
        events = size.place.number("SELECT count(*) FROM webhook_events")
        gigabytes = size.place.number("SELECT pg_database_size(current_database())") / 1e9
        found.note(f"growth: {size.rows:,} stored: {events:,} at the end, {gigabytes:.2f} GB")
    return found


def _sizes(stand: Stand, scale: Scale) -> list[_Size]:
    """The databases, small to large; all begin as copies of the same one."""
    places = {0: stand.place()}
    seed = _seed(stand, scale)
    for rows in sorted(filter(None, scale.table_rows)):
        stand.progress.step(f"{rows:,} rows are written")
        # Nobody may be connected to what is copied, so workers start when all are written.
        places[rows] = stand.copied(seed)
        grow(places[rows], rows)
    sizes = []
    warming = corpus.events(scale.warm_events, "warm")
    for rows, place in places.items():
        stand.progress.step(f"a worker starts beside {rows:,} rows")
        worker = stand.worker(place, processes=WORKER_PROCESSES)
        sizes.append(_Size(rows, place, worker))
        _visited(stand, sizes[-1], warming)
    return sizes


def _seed(stand: Stand, scale: Scale) -> Place:
    """A database with events that were applied for real, for the others to be grown from."""
    place = stand.place()
    worker = stand.worker(place, processes=WORKER_PROCESSES)
    size = _Size(0, place, worker)
    stand.progress.step("the events to be copied are applied")
    _visited(stand, size, corpus.events(scale.growth_events, "seed"))
    stand.stop(worker)
    return place


def _visited(stand: Stand, size: _Size, chosen: Sequence[Event]) -> Drained:
    """New events, applied beside what is stored."""
    if not size.rows:
        size.place.empty()
    fill_stream(size.place, chosen)
    meter = CpuMeter((size.worker, stand.postgres, stand.valkey))
    with Waiting(size.place) as waiting:
        return drained(waiting.in_stream, waiting.send_wake_up, meter, seconds_max=SECONDS_MAX)


def _tell(found: Findings, rows: int, rounds: Sequence[Drained]) -> None:
    title, key = f"with {rows:,} events stored", f"rows_{rows}"
    of_postgres = [each.cpu_us("PostgreSQL") for each in rounds]
    found.add(f"{key}.cpu", f"{title}: CPU", "µs/event", (each.cpu_us() for each in rounds))
    found.add(f"{key}.postgres", f"{title}: CPU of PostgreSQL", "µs/event", of_postgres)
    found.add(f"{key}.rate", f"{title}: rate", "events/s", (each.rate for each in rounds))


def _tell_growth(found: Findings, done: Mapping[int, Sequence[Drained]]) -> None:
    """Each size over the empty tables, round by round; then the size that is dearest so."""
    empty = [each.cpu_us() for each in done[0]]
    by_rows = {
        rows: ratios((each.cpu_us() for each in rounds), empty)
        for rows, rounds in done.items()
        if rows
    }
    for rows, values in by_rows.items():
        title = f"{rows:,} events stored : none stored, CPU"
        found.add(f"rows_{rows}.against_none", title, "x", values)
    if by_rows:
        dearest = max(by_rows.values(), key=median)
        found.add("dearest", "the dearest size : none stored, CPU", "x", dearest)
