"""Four worker processes on events of a few hot customers: what waiting for locks costs.

Facts of one customer are applied under one lock, so this is the worst that load can be shaped
like. Beside it the same events with customers of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg2.extensions

from bench.backlog import Drained, Waiting, drained, fill_stream, warm
from bench.figures import Findings, ratios
from bench.place import Place
from bench.scale import SECONDS_MAX, Scale
from bench.stand import START_SECONDS_MAX, Stand
from bench.trees import CpuMeter, Tree
from sandbox.simulate.engine import Event

WORKER_PROCESSES = 4
CUSTOMERS = 20
LOOK_SECONDS = 0.02
TITLES = {
    "four": f"stream, {WORKER_PROCESSES} worker processes",
    "hot": f"stream, {WORKER_PROCESSES} worker processes, {CUSTOMERS} customers only",
}

_WAITING = """
SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'fiko-worker'
"""
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class _Contended:
    """A drained backlog, and how many of the workers waited for a lock on average."""

    drained: Drained
    waiting: float
    deadlocks: int


def measure_hot(
    found: Findings, stand: Stand, scale: Scale, chosen: Sequence[Event], warming: Sequence[Event]
) -> None:
    """Both in turn, several rounds."""
    place = stand.place()
    worker = stand.worker(place, processes=WORKER_PROCESSES)
    warm(place, worker, warming, START_SECONDS_MAX)
    by_name = {"four": chosen, "hot": heated(chosen)}
    done: dict[str, list[_Contended]] = {name: [] for name in by_name}
    for _ in range(scale.rounds):
        for name, events in by_name.items():
            done[name].append(_contended(stand, place, worker, events))
    for name, rounds in done.items():
        title = TITLES[name]
        found.add(f"{name}.rate", title, "events/s", (each.drained.rate for each in rounds))
        what = "of them waiting for a lock, on average"
        found.add(f"{name}.waiting", f"{title}: {what}", "", (each.waiting for each in rounds))
        deadlocks = [float(each.deadlocks) for each in rounds]
        found.add(f"{name}.deadlocks", f"{title}: deadlocks", "", deadlocks)
    hot, usual = ([each.drained.rate for each in done[name]] for name in ("hot", "four"))
    title = f"{CUSTOMERS} customers only : customers of their own"
    found.add("hot.against_four", title, "x", ratios(hot, usual))


def heated(chosen: Sequence[Event]) -> list[Event]:
    """The same events as if a few customers had caused them all."""
    customers = sorted({(event.customer_id, event.user_id) for event in chosen})
    few = {each: customers[number % CUSTOMERS] for number, each in enumerate(customers)}
    return [_moved(event, *few[event.customer_id, event.user_id]) for event in chosen]


def _moved(event: Event, customer_id: str, user_id: str) -> Event:
    body = event.body.replace(event.customer_id.encode(), customer_id.encode())
    body = body.replace(event.user_id.encode(), user_id.encode())
    return replace(event, customer_id=customer_id, user_id=user_id, body=body)


def _contended(stand: Stand, place: Place, worker: Tree, events: Sequence[Event]) -> _Contended:
    place.empty()
    fill_stream(place, events)
    meter = CpuMeter((worker, stand.postgres, stand.valkey))
    looks: list[int] = []
    with place.cursor() as cursor, Waiting(place) as waiting:
        before = _number(cursor, _DEADLOCKS)
        done = drained(
            waiting.in_stream,
            waiting.send_wake_up,
            meter,
            seconds_max=SECONDS_MAX,
            every_seconds=LOOK_SECONDS,
            watch=lambda: looks.append(_number(cursor, _WAITING)),
        )
        deadlocks = _number(cursor, _DEADLOCKS) - before
    if done.events == len(events):
        place.require_applied(events)
    return _Contended(done, sum(looks) / max(1, len(looks)), deadlocks)


def _number(cursor: psycopg2.extensions.cursor, query: str) -> int:
    cursor.execute(query)
    row = cursor.fetchone()
    return int(row[0]) if row else 0
