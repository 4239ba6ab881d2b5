"""What a receiver with many idle connections holds, and a worker that has worked."""

import socket
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import corpus
from bench.against.draining import drain
from bench.against.sides import Pair, compare
from bench.figures import Findings
from bench.load import Aim, fire
from bench.place import StandError
from bench.scale import SECONDS_MAX, Scale
from bench.stand import SECRET, Stand

IDLE_CONNECTIONS = 1_000
ANSWER_SECONDS_MAX = 10.0
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def measure_memory(found: Findings, stand: Stand, scale: Scale, pair: Pair) -> None:
    """After the same load each; the worker with one process that applies."""
    chosen = corpus.without(corpus.events(scale.events, "memory"), pair.ignored)
    idle: dict[str, list[float]] = defaultdict(list)
    worked: dict[str, list[float]] = defaultdict(list)
    for side in pair:
        stand.progress.step(f"memory: {side.name}")
        side.place.empty()
        fire(corpus.requests(chosen, SECRET), Aim((side.port,), SECONDS_MAX))
        with idle_connections(side.port, IDLE_CONNECTIONS):
            idle[side.name].append(side.receiver.proportional())
        side.place.empty()
        worker = stand.worker(side.place, processes=1)
        drain(stand, side, worker, chosen, SECONDS_MAX)
        worked[side.name].append(worker.proportional())
        stand.stop(worker)
    title = f"receiver with {IDLE_CONNECTIONS:,} idle connections: memory of its processes"
    compare(found, "memory.receiver", title, "MB", idle)
    compare(found, "memory.worker", "worker that has worked: memory of its processes", "MB", worked)


@contextmanager
def idle_connections(port: int, count: int) -> Iterator[None]:
    """So many connections that were each asked something once, and are kept."""
    with ExitStack() as stack:
        for _ in range(count):
            address = ("127.0.0.1", port)
            lane = stack.enter_context(socket.create_connection(address, ANSWER_SECONDS_MAX))
            lane.sendall(REQUEST)
            answer = lane.recv(4096).lower()
            # Which answer is all the same: one that asks too often is told so, and is kept.
            if not answer.startswith(b"http/1.1 ") or b"connection: close" in answer:
                raise StandError("a receiver did not keep one of many connections")
        yield
