"""`size`: what it all takes, in memory and on disk.

Memory of every process, idle and under load; a backlog drained whole by two worker processes, and
from it the bytes of an event in Redis while it waits and in PostgreSQL once it is applied. A
backlog may take longer than 20 s.
"""

import time
from collections.abc import Iterable, Sequence

from bench import corpus
from bench.backlog import Drained, Waiting, drained, fill_stream, warm
from bench.contestants import start_product
from bench.figures import Findings
from bench.load import Aim, fire
from bench.place import Place
from bench.scale import SECONDS_MAX, Scale
from bench.stand import SECRET, START_SECONDS_MAX, Stand
from bench.trees import CpuMeter, Tree
from sandbox.simulate.engine import Event

WORKER_PROCESSES = 2
BACKLOG_SECONDS_MAX = 1_200.0
SAMPLE_SECONDS = 0.5
BYTES_KEY = "size.redis.bytes"
ROLES = ("receiver", "worker", "beat")
TABLES = "webhook_events", "payments", "subscriptions", "customers", "ledger_entries"


def measure(stand: Stand, scale: Scale) -> Findings:
    """Memory first, then bytes."""
    found = Findings("size")
    chosen = corpus.events(scale.events, "size")
    _memory(found, stand, scale, chosen)
    place = stand.place()
    worker = stand.worker(place, processes=WORKER_PROCESSES)
    warm(place, worker, corpus.events(scale.warm_events, "warm"), START_SECONDS_MAX)
    for events in scale.backlogs:
        stand.progress.step(f"a backlog of {events:,}")
        place.empty()
        _backlog(found, stand, place, worker, events)
    return found


def _memory(found: Findings, stand: Stand, scale: Scale, chosen: Sequence[Event]) -> None:
    """What each process holds before and during a load that saturates."""
    place = stand.place()
    product = start_product(stand, place, scale)
    trees = {tree.name: tree for tree in product.trees if tree.name in ROLES}
    _tell_memory(found, "idle", trees.values())
    most = _under_load(place, product.ports, chosen, trees)
    for name, peak in most.items():
        title = f"{name} under load: largest process"
        found.add(f"{name}.resident", title, "MB", (peak,))
    _tell_memory(found, "after", trees.values())
    for tree in trees.values():
        stand.stop(tree)


def _under_load(
    place: Place, ports: tuple[int, ...], chosen: Sequence[Event], trees: dict[str, Tree]
) -> dict[str, float]:
    """The most that any process of each role held while events came in and were applied."""
    most = dict.fromkeys(trees, 0.0)

    def look() -> None:
        for name, tree in trees.items():
            most[name] = max(most[name], *tree.resident())

    place.empty()
    fire(corpus.requests(chosen, SECRET), Aim(ports, SECONDS_MAX / 2))
    look()
    with Waiting(place) as waiting:
        deadline = time.monotonic() + SECONDS_MAX
        while waiting.in_stream() and time.monotonic() < deadline:
            look()
            time.sleep(SAMPLE_SECONDS / 5)
    look()
    return most


def _tell_memory(found: Findings, when: str, trees: Iterable[Tree]) -> None:
    for tree in trees:
        title = f"{tree.name}, {when}: process"
        for number, megabytes in enumerate(tree.resident()):
            found.add(f"{tree.name}.{when}.{number}", f"{title} {number + 1}", "MB", (megabytes,))
        shared = tree.proportional()
        if shared:
            title = f"{tree.name}, {when}: all its processes, what they share counted once"
            found.add(f"{tree.name}.{when}.together", title, "MB", (shared,))


def _tell_bytes(found: Findings, place: Place, events: int, *, queued: int, stored: int) -> None:
    """What an event weighs in each store, everything that comes with it included."""
    found.add("redis.bytes", "Redis, a queued event", "bytes", (queued / events,))
    title = "PostgreSQL, a stored event with all its effects and indexes"
    found.add("postgres.bytes", title, "bytes", (stored / events,))
    with place.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                "SELECT pg_table_size(%s::regclass), pg_indexes_size(%s::regclass)", (table, table)
            )
            for what, size in zip(("rows", "indexes"), cursor.fetchone() or (), strict=False):
                title = f"PostgreSQL, of this: {table}, {what}"
                found.add(f"postgres.{table}.{what}", title, "bytes", (size / events,))


def _redis_bytes(place: Place) -> int:
    with place.redis() as client:
        return int(client.info("memory")["used_memory"])


def _database_bytes(place: Place) -> int:
    with place.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def _backlog(found: Findings, stand: Stand, place: Place, worker: Tree, events: int) -> None:
    """A long queue, drained by two worker processes, their memory looked at all the while."""
    database_bytes, redis_bytes = _database_bytes(place), _redis_bytes(place)
    for chunk in corpus.chunks(events, f"backlog{events}-"):
        fill_stream(place, chunk)
    queued = _redis_bytes(place) - redis_bytes
    samples: list[tuple[float, float]] = []

    def look() -> None:
        now = time.monotonic()
        if not samples or now - samples[-1][0] >= SAMPLE_SECONDS:
            samples.append((now, max(worker.resident())))

    meter = CpuMeter((worker, stand.postgres, stand.valkey))
    with Waiting(place) as waiting:
        done = drained(
            waiting.in_stream,
            waiting.send_wake_up,
            meter,
            seconds_max=BACKLOG_SECONDS_MAX,
            every_seconds=0.05,
            watch=look,
        )
    _tell_backlog(found, events, done, [megabytes for _, megabytes in samples])
    if done.events == events and not any(each.key == BYTES_KEY for each in found.figures):
        stored = _database_bytes(place) - database_bytes
        _tell_bytes(found, place, events, queued=queued, stored=stored)


def _tell_backlog(found: Findings, events: int, done: Drained, held: Sequence[float]) -> None:
    key, title = f"backlog_{events}", f"backlog of {events:,}, two worker processes"
    minutes = done.seconds / 60 * events / done.events
    found.add(f"{key}.minutes", f"{title}: drained", "min", (minutes,))
    found.add(f"{key}.rate", f"{title}: rate", "events/s", (done.rate,))
    found.add(f"{key}.cpu", f"{title}: CPU, engines too", "µs/event", (done.cpu_us(),))
    found.add(f"{key}.resident", f"{title}: largest worker process", "MB", (max(held),))
    quarter = max(1, len(held) // 4)
    growth = max(held[-quarter:]) - max(held[:quarter])
    what = "more in the last quarter than in the first"
    found.add(f"{key}.growth", f"{title}: {what}", "MB", (growth,))
    if done.events < events:
        found.note(f"size: of {events:,} queued events {done.events:,} were applied in time")
