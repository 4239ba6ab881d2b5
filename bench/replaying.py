"""Runs a full replay in a process of its own, as the command does, and tells how long it took."""

import multiprocessing
import time
from multiprocessing.connection import Connection

import psutil  # type: ignore[import-untyped]  # It ships no types.

from bench.backlog import Drained
from bench.place import Place, StandError
from bench.trees import CpuMeter, Tree, begin_child
from db.engine import make_engine
from db.operations.replay import Selection
from db.queue.attempts import Request
from workers.operations.replay import Replay

NAME = "replay"
START_SECONDS_MAX = 30.0


def replayed(place: Place, events: int, trees: tuple[Tree, ...], seconds_max: float) -> Drained:
    """Replay everything that is stored. Raises `StandError` where that fails or takes too long."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_replay, args=(place.database_url, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        _heard(ours, "ready", START_SECONDS_MAX)
        meter = CpuMeter((*trees, Tree(NAME, psutil.Process(process.pid))))
        meter.start()
        began = time.perf_counter()
        ours.send("go")
        done = int(_heard(ours, "done", seconds_max + START_SECONDS_MAX))
        seconds = time.perf_counter() - began
        used = dict(meter.stop())
    finally:
        process.kill()
        process.join()
        ours.close()
    if done != events:
        raise StandError(f"{done} of {events} stored events were replayed")
    return Drained(done, seconds, used)


def _heard(channel: Connection, word: str, seconds_max: float) -> str:
    try:
        if channel.poll(seconds_max):
            said, _, more = str(channel.recv()).partition(" ")
            if said == word:
                return more
            raise StandError(f"the replay failed: {said} {more}")
    except EOFError:
        raise StandError("the replay died") from None
    raise StandError("the replay takes too long")


def _replay(database_url: str, told: Connection) -> None:
    begin_child()
    engine = make_engine(database_url, pool_size=2, application_name="bench-replay")
    with engine.connect():
        told.send("ready")
    told.recv()
    request = Request(by="bench", reason="measured")
    done = Replay(engine, test_mode=True).run(Selection(), request, lambda _done, _all: None)
    told.send(f"done {sum(done.statuses.values())}")
    told.recv()  # Until it is told to end, so that its CPU time can be read.
