"""Fills the stores with what waits, wakes a worker, and looks on until nothing is left.

Filling is never part of a measurement, so it may spare the disk; what is measured may not.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Self

import redis
from celery import Celery
from sqlalchemy import create_engine

import celery_config
from bench import corpus
from bench.place import Place, StandError
from bench.stand import product_settings
from bench.trees import CpuMeter, Tree
from db.bodies import compress
from db.queue import inbox
from db.queue.stream import STREAM, WAKE_UP, EventStream, connect
from sandbox.simulate.engine import Event
from settings import load

POLL_SECONDS = 0.01
FILL_BATCH = 1_000

_WAITING = "SELECT count(*) FROM webhook_events WHERE status IN ('received', 'failed')"


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog went down: events done, in so many seconds, at so much CPU by tree."""

    events: int
    seconds: float
    cpu_seconds: dict[str, float]

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    def cpu_us(self, *names: str) -> float:
        """Microseconds of CPU an event in these trees, or in all."""
        chosen = names or tuple(self.cpu_seconds)
        return sum(self.cpu_seconds[name] for name in chosen) / max(1, self.events) * 1e6


class Waiting:
    """What waits in a place, and the wake-up that has it applied; a context manager."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._app: Celery = celery_config.make_app(
            load(environ=product_settings(place)), publisher=True
        )
        # Kept open: a connection for every look would be felt in what is measured.
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._client = self._held.enter_context(self._place.redis())
        self._cursor = self._held.enter_context(self._place.cursor())
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def send_wake_up(self) -> None:
        """Ask for a drain, as the receiver does."""
        self._app.send_task(celery_config.DRAIN, ignore_result=True)

    def in_stream(self) -> int:
        """How many entries the stream holds."""
        return int(self._client.xlen(STREAM))

    def in_inbox(self) -> int:
        """How many stored events are to be tried."""
        self._cursor.execute(_WAITING)
        found = self._cursor.fetchone()
        return int(found[0]) if found else 0


def fill_stream(place: Place, chosen: Iterable[Event]) -> None:
    """Put events on the stream as the receiver does, but for the waiting on the disk."""
    with unsynced(place), closing(connect(place.redis_url, timeout_seconds=30)) as client:
        stream = EventStream(client)
        for delivery in corpus.deliveries(list(chosen), compress):
            stream.put(delivery)
        client.delete(WAKE_UP)


def fill_inbox(place: Place, chosen: Sequence[Event]) -> None:
    """Store events as the receiver does without Redis."""
    engine = create_engine(place.database_url)
    try:
        for start in range(0, len(chosen), FILL_BATCH):
            batch = corpus.deliveries(chosen[start : start + FILL_BATCH], compress)
            with engine.begin() as connection:
                inbox.store(connection, batch, source="webhook")
    finally:
        engine.dispose()


@contextmanager
def unsynced(place: Place) -> Iterator[None]:
    """Let Redis write its file without waiting, and wait again afterwards."""
    with place.redis() as client:
        client.config_set("appendfsync", "no")
        try:
            yield
        finally:
            client.config_set("appendfsync", "always")
            _settle(client)


def _settle(client: redis.Redis) -> None:
    # The first write with syncing on pays for all that came before it.
    client.set("bench:settled", 1, ex=1)


def drained(
    left: Callable[[], int],
    send_wake_up: Callable[[], None],
    meter: CpuMeter,
    *,
    seconds_max: float,
    every_seconds: float = POLL_SECONDS,
    watch: Callable[[], None] = lambda: None,
) -> Drained:
    """Wake the worker, and measure until nothing is `left` or time is up.

    `watch` is called with every look.

    Raises `StandError` when nothing at all was done.
    """
    before = left()
    meter.start()
    began = time.perf_counter()
    send_wake_up()
    remaining = before
    while remaining and time.perf_counter() - began < seconds_max:
        time.sleep(every_seconds)
        watch()
        remaining = left()
    seconds = time.perf_counter() - began
    used = dict(meter.stop())
    if remaining == before:
        raise StandError(f"none of {before} events were applied in {seconds:.0f} s")
    return Drained(before - remaining, seconds, used)


def warm(place: Place, worker: Tree, chosen: Sequence[Event], seconds_max: float) -> None:
    """Have a worker apply some events, so that all it does once is done; leaves the place empty."""
    fill_stream(place, chosen)
    with Waiting(place) as waiting:
        drained(
            waiting.in_stream, waiting.send_wake_up, CpuMeter((worker,)), seconds_max=seconds_max
        )
    place.empty()
