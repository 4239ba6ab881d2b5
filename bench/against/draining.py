"""Fills a side's queue by its own receiver and measures how its worker empties it."""

from collections.abc import Sequence

from bench.against.sides import Side
from bench.backlog import Drained, Waiting, drained
from bench.stand import Stand
from bench.trees import CpuMeter, Tree
from sandbox.simulate.engine import Event


def drain(
    stand: Stand, side: Side, worker: Tree, chosen: Sequence[Event], seconds_max: float
) -> Drained:
    """Queue these events, hand them to the worker, look on until none is left."""
    side.fill(chosen)
    return drain_filled(stand, side, worker, seconds_max)


def drain_filled(stand: Stand, side: Side, worker: Tree, seconds_max: float) -> Drained:
    """Hand what is queued to the worker, and look on until nothing is left."""
    name = side.release()
    meter = CpuMeter((worker, stand.postgres, stand.valkey))
    with side.place.redis() as client, Waiting(side.place) as waiting:
        return drained(
            lambda: int(client.xlen(name)),
            waiting.send_wake_up,
            meter,
            seconds_max=seconds_max,
        )
