"""`streams`: what a thousand pages that listen cost a receiver, in memory and in its answers' time.

Two receivers in turn take the same paced load, one of them with open streams of as many users. A
round is longer than the time in which everybody is looked at without a hint, and told a comment.
"""

import contextlib
import multiprocessing
import resource
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bench import corpus
from bench.figures import Findings, percentile, ratios
from bench.load import Aim, fire
from bench.place import Place, StandError
from bench.scale import Scale
from bench.stand import SECRET, Stand
from bench.trees import Tree, begin_child, two_cores
from bench.turns import in_turn
from sandbox.simulate.reading import token_maker

STREAMS = 1_000
RATE = 500.0
# So many paced rounds make one of these, which holds a look at everybody.
LONGER = 3
OPEN_SECONDS_MAX = 20.0
JWT_SECRET = "the secret of an account that does not exist"  # noqa: S105 - it guards nothing.
MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True)
class Receiver:
    """One receiver that is measured."""

    name: str
    title: str
    tree: Tree
    port: int


def measure(stand: Stand, scale: Scale) -> Findings:
    """Memory once, answers in turn, several rounds."""
    found = Findings("streams")
    _allow_files(2 * STREAMS)
    place = stand.place()
    plain = _receiver(stand, place, "none", "no stream")
    busy = _receiver(stand, place, "thousand", f"{STREAMS:,} streams")
    p99: dict[str, list[float]] = {plain.name: [], busy.name: []}
    for each in (plain, busy):
        _fire(stand, place, each, scale.paced_seconds)
    before = sum(busy.tree.resident())
    with _open_streams(busy.port):
        found.add(
            "memory",
            f"receiver: growth by {STREAMS:,} open streams",
            "MB",
            [sum(busy.tree.resident()) - before],
        )
        for number in range(scale.rounds):
            for each in in_turn((busy, plain), number):
                latencies = _fire(stand, place, each, LONGER * scale.paced_seconds)
                p99[each.name].append(percentile(latencies, 0.99) * MILLISECONDS)
    for each in (plain, busy):
        title = f"receiver with {each.title}, one core, {RATE:.0f}/s: p99"
        found.add(f"{each.name}.p99", title, "ms", p99[each.name])
    found.add(
        "p99.against_none",
        f"receiver with {busy.title} : with none, p99",
        "x",
        ratios(p99[busy.name], p99[plain.name]),
    )
    return found


def _receiver(stand: Stand, place: Place, name: str, title: str) -> Receiver:
    tree, port = stand.receiver(place, INTAKE="stream", JWT_SECRET=JWT_SECRET)
    return Receiver(name, title, tree, port)


def _fire(stand: Stand, place: Place, receiver: Receiver, seconds: float) -> list[float]:
    """How long each answer took, with the receiver on a core of its own."""
    place.empty()
    cores = two_cores()
    driver: frozenset[int] = frozenset()
    if cores:
        receiver.tree.pin(cores[0])
        for engine in (stand.postgres, stand.valkey):
            engine.pin(cores[1])
        driver = frozenset(cores[1])
    chosen = corpus.events(int(RATE * seconds), "streams")
    volley = fire(corpus.requests(chosen, SECRET), Aim((receiver.port,), seconds, RATE, driver))
    volley.require_success(f"a receiver with {receiver.title}")
    return volley.latencies


@contextlib.contextmanager
def _open_streams(port: int) -> Iterator[None]:
    """Streams of as many users, in a process of its own; the driver's has few files then."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_listen, args=(port, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        said = ours.recv() if ours.poll(OPEN_SECONDS_MAX) else "streams were not opened in time"
        if said:
            raise StandError(said)
        yield
    except EOFError:
        raise StandError("who listens to streams died") from None
    finally:
        process.kill()
        process.join()
        ours.close()


def _listen(port: int, told: Connection) -> None:
    """Open the streams, say what is wrong or nothing, and hold them; nobody reads what comes."""
    begin_child()
    token_for = token_maker(JWT_SECRET, "", "")
    opened = []
    try:
        for number in range(STREAMS):
            connection = socket.create_connection(("127.0.0.1", port), timeout=OPEN_SECONDS_MAX)
            opened.append(connection)
            connection.sendall(_request(token_for(f"user_{number}")))
        for connection in opened:
            _await_ready(connection)
    except (OSError, StandError) as error:
        told.send(f"streams were not opened: {error}")
        return
    told.send("")
    signal.pause()


def _request(token: str) -> bytes:
    lines = ("GET /billing/stream/ HTTP/1.1", "Host: bench", f"Authorization: Bearer {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _await_ready(connection: socket.socket) -> None:
    told = b""
    while b"event: ready" not in told:
        part = connection.recv(65_536)
        told += part
        if not part or not told.startswith(b"HTTP/1.1 200"[: len(told)]):
            raise StandError(f"a stream was not opened: {told[:200]!r}")


def _allow_files(count: int) -> None:
    """Let this process, and those it starts, hold so many files."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if most == resource.RLIM_INFINITY else min(count, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, wanted), most))
