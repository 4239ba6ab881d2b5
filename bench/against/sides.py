"""The two sides: a checkout each, with a place, a receiver, and a queue that is filled by it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import corpus
from bench.contestants import warm_up
from bench.figures import Findings, ratios
from bench.load import Aim, fire
from bench.place import ROOT, Place, StandError, streams
from bench.scale import Scale
from bench.stand import SECRET, Stand
from bench.trees import Tree
from sandbox.simulate.engine import Event

OURS, THEN = "ours", "then"
FILL_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Side:
    """A checkout: where its events go, who takes them, and what its queue is filled through.

    `filler` is a receiver on the same database with a Redis of its own: what it has put there is
    moved into the place at once, so that a worker finds all of it. Whatever form a checkout's
    entries have, they are made by its own code.
    """

    name: str
    place: Place
    receiver: Tree
    port: int
    twin: Place
    filler_port: int
    ignored: frozenset[str]

    def fill(self, chosen: Sequence[Event]) -> None:
        """Have its own receiver queue events, where no worker takes them yet."""
        volley = fire(corpus.requests(chosen, SECRET), Aim((self.filler_port,), FILL_SECONDS_MAX))
        volley.require_success(f"{self.name}, filling its queue")

    def release(self) -> bytes:
        """Move what was queued to where the worker reads; its name there."""
        target = int(self.place.redis_url.rpartition("/")[2])
        with self.twin.redis() as twin, self.place.redis() as client:
            filled = max(streams(twin), key=twin.xlen, default=None)
            if filled is None:
                raise StandError(f"{self.name}: its receiver made no stream")
            client.delete(filled)
            if not twin.move(filled, target):
                raise StandError(f"{self.name}: its stream could not be moved")
            return filled


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides; `ignored` are types of our events that one of them has no use for."""

    ours: Side
    then: Side

    @property
    def ignored(self) -> frozenset[str]:
        """Types that are left out, so that both do the same."""
        return self.ours.ignored | self.then.ignored

    def __iter__(self) -> Iterator[Side]:
        return iter((self.ours, self.then))


def sides(stand: Stand, scale: Scale) -> Pair:
    """Start both receivers, warm, and find out what both have a use for."""
    assert stand.other is not None
    return Pair(_side(stand, scale, ROOT), _side(stand, scale, stand.other))


def _side(stand: Stand, scale: Scale, root: Path) -> Side:
    name = OURS if root == ROOT else THEN
    stand.progress.step(f"{name}: the receivers start")
    place = stand.place(root)
    twin = stand.twin(place)
    receiver, port = stand.receiver(place)
    _, filler_port = stand.receiver(twin)
    worker = stand.worker(place, processes=1)
    warming = corpus.events(scale.warm_events, "warm")
    warm_up(place, port, warming)
    ignored = place.ignored_types()
    stand.stop(worker)
    place.empty()
    return Side(name, place, receiver, port, twin, filler_port, ignored)


def compare(
    found: Findings, key: str, what: str, unit: str, values: Mapping[str, Sequence[float]]
) -> None:
    """A figure of each side, and ours over then's, round by round."""
    for name, rounds in values.items():
        found.add(f"{key}.{name}", f"{what}: {name}", unit, rounds)
    found.add(key, f"{what}, ours : then", "x", ratios(values[OURS], values[THEN]))
