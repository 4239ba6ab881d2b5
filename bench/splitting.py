"""Drains a filled stream in a process of its own, with its functions timed."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import telemetry
from bench.backlog import fill_stream
from bench.place import Place, StandError
from bench.split import watched
from bench.trees import CpuMeter, Tree, begin_child
from db.engine import make_engine
from db.queue.stream import EventStream, connect
from sandbox.simulate.engine import Event
from workers.context import WorkerContext
from workers.pipeline.drain import drain

SECONDS_MAX = 60.0


def split(
    place: Place,
    engines: tuple[Tree, ...],
    *,
    warming: Sequence[Event],
    chosen: Sequence[Event],
) -> dict[str, float]:
    """Microseconds of CPU an event by part of the work, and by engine.

    The stream is filled twice: to warm the process up, and with the events that count.
    """
    events = len(chosen)
    fill_stream(place, warming)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_drain, args=(place, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        _await(ours)
        ours.recv()
        fill_stream(place, chosen)
        meter = CpuMeter(engines)
        meter.start()
        ours.send("go")
        _await(ours)
        spent, done = ours.recv()
    except EOFError:
        raise StandError("a drain with its functions timed died") from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if done != events:
        raise StandError(f"{done} of {events} events were applied with functions timed")
    return {name: seconds / events * 1e6 for name, seconds in (spent | dict(meter.stop())).items()}


def _await(channel: Connection) -> None:
    if not channel.poll(SECONDS_MAX):
        raise StandError("a drain with its functions timed takes too long")


def _drain(place: Place, told: Connection) -> None:
    begin_child()
    _log_to_nowhere()
    context = WorkerContext(
        engine=make_engine(place.database_url, pool_size=2),
        events=EventStream(connect(place.redis_url, timeout_seconds=3.0)),
        consumer="split",
        test_mode=True,
    )
    # Connections and statements are made once in a worker's life, so not where it is timed.
    drain(context, lambda: None)
    told.send("ready")
    told.recv()
    told_done = 0
    with watched() as clock:
        began = time.thread_time()
        while (done := drain(context, lambda: None)).applied:
            told_done += done.applied
        total = time.thread_time() - began
    clock.seconds["rest"] = total - sum(clock.seconds.values())
    told.send((clock.seconds, told_done))


def _log_to_nowhere() -> None:
    """Lines are made and written, as in production, but nobody keeps them."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    telemetry.configure("json", "worker", level="info")
