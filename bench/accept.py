"""`accept`: how many events a receiver takes, and how long a sender waits for its 200.

The product by each of its stores, beside a Flask route that does nothing, under two servers. One
core belongs to the receiver, the other to the engines and the load driver; on two cores everything
shares both and there are two receivers of each kind.
"""

import importlib.util
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import corpus
from bench.figures import Findings, percentile, ratios
from bench.load import Aim, Volley, fire
from bench.place import Place, StandError
from bench.scale import Scale
from bench.stand import SECRET, Stand
from bench.trees import CpuMeter, Tree, two_cores
from bench.turns import in_turn
from dev.up.ports import free_port
from sandbox.simulate.engine import Event

THREADS = 4
PACED_RATE = 500.0
WARM_SECONDS = 0.4
MILLISECONDS = 1000.0
BARE = "bench.rivals.bare:app"
# Everything a receiver has kept is dropped in between, so that no table or stream grows large.
TITLES = {
    "stream": "product, to the stream",
    "inbox": "product, to the inbox",
    "gunicorn": "bare Flask route, gunicorn gthread",
    "granian": "bare Flask route, granian",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """A load on a receiver, and what it cost: µs of CPU an event, by receiver and engines."""

    volley: Volley
    cpu_us: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Receiver:
    """One kind of receiver: processes of it, the first of which runs alone on one core."""

    name: str
    trees: tuple[Tree, ...]
    ports: tuple[int, ...]
    place: Place | None = None


def measure(stand: Stand, scale: Scale) -> Findings:
    """Every kind of receiver in turn, several rounds."""
    found = Findings("accept")
    chosen = corpus.events(scale.shot_events, "accept")
    receivers = _receivers(stand)
    alone: dict[str, list[Shot]] = defaultdict(list)
    paced: dict[str, list[Shot]] = defaultdict(list)
    both: dict[str, list[Shot]] = defaultdict(list)
    for each in receivers:
        _alone(stand, each, chosen, WARM_SECONDS)
        on_all_cores(stand, each, chosen, WARM_SECONDS)
    for number in range(scale.rounds):
        for each in in_turn(receivers, number):
            alone[each.name].append(_alone(stand, each, chosen, scale.shot_seconds))
        for each in in_turn(receivers, number):
            paced[each.name].append(_alone(stand, each, chosen, scale.paced_seconds, PACED_RATE))
    for number in range(scale.rounds):
        for each in in_turn(receivers, number):
            both[each.name].append(on_all_cores(stand, each, chosen, scale.shot_seconds))
    _tell_rates(found, "one_core", "one core", alone)
    _tell_rates(found, "two_cores", "two cores, two receivers", both)
    _tell_paced(found, paced)
    _tell_ratios(found, alone)
    found.note(f"accept: {corpus.mean_bytes(chosen):,.0f} bytes an event on average")
    if two_cores() is None:
        found.note("accept: one core only, so receiver, engines and driver shared it")
    return found


def gunicorn(app: str, port: int, *, workers: int = 1) -> tuple[str, ...]:
    """The command line of the usual server. Raises `StandError` where it is not installed."""
    if importlib.util.find_spec("gunicorn") is None:
        raise StandError("gunicorn is not installed; use an environment with locks/test.txt")
    return (
        *("-m", "gunicorn", "--worker-class", "gthread", "--workers", str(workers)),
        *("--threads", str(THREADS), "--bind", f"127.0.0.1:{port}", "--keep-alive", "75", app),
    )


def granian(app: str, port: int) -> tuple[str, ...]:
    """The command line of the product's own server, with the product's settings of it."""
    return (
        *("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--blocking-threads", str(THREADS), "--http", "1", "--no-ws", app),
    )


def _receivers(stand: Stand) -> list[Receiver]:
    receivers = []
    for name in ("stream", "inbox"):
        place = stand.place()
        first, second = (stand.receiver(place, INTAKE=name) for _ in range(2))
        trees, ports = (first[0], second[0]), (first[1], second[1])
        receivers.append(Receiver(name, trees, ports, place))
    for name, command in (("gunicorn", gunicorn), ("granian", granian)):
        ports = (free_port(), free_port())
        trees = (
            stand.start(name, command(BARE, ports[0]), {}),
            stand.start(name, command(BARE, ports[1]), {}),
        )
        for tree, port in zip(trees, ports, strict=True):
            stand.await_answer(tree, port)
        receivers.append(Receiver(name, trees, ports))
    return receivers


def _alone(
    stand: Stand,
    receiver: Receiver,
    chosen: Sequence[Event],
    seconds: float,
    rate: float | None = None,
) -> Shot:
    """One receiver on a core of its own."""
    cores = two_cores()
    driver: frozenset[int] = frozenset()
    if cores:
        receiver.trees[0].pin(cores[0])
        for engine in (stand.postgres, stand.valkey):
            engine.pin(cores[1])
        driver = frozenset(cores[1])
    return _fire(stand, receiver, chosen, Aim(receiver.ports[:1], seconds, rate, driver))


def on_all_cores(
    stand: Stand,
    receiver: Receiver,
    chosen: Sequence[Event],
    seconds: float,
    rate: float | None = None,
) -> Shot:
    """All receivers of a kind, and everything free to run anywhere."""
    cores = two_cores()
    if cores:
        for tree in (*receiver.trees, stand.postgres, stand.valkey):
            tree.pin(cores[0] | cores[1])
    return _fire(stand, receiver, chosen, Aim(receiver.ports, seconds, rate))


def _fire(stand: Stand, receiver: Receiver, chosen: Sequence[Event], aim: Aim) -> Shot:
    if receiver.place:
        receiver.place.empty()
    count = len(chosen) if aim.rate is None else int(aim.rate * aim.seconds)
    requests = corpus.requests(chosen[:count], SECRET)
    engines = (stand.postgres, stand.valkey) if receiver.place else ()
    meter = CpuMeter((*receiver.trees[: len(aim.ports)], *engines))
    meter.start()
    volley = fire(requests, aim)
    used = meter.stop()
    volley.require_success(TITLES[receiver.name])
    events = volley.statuses[200]
    return Shot(volley, {name: seconds / events * 1e6 for name, seconds in used.items()})


def _tell_rates(found: Findings, key: str, where: str, shots: Mapping[str, Sequence[Shot]]) -> None:
    for name, each in shots.items():
        prefix = f"{name}.{key}"
        title = f"{TITLES[name]}, {where}"
        found.add(f"{prefix}.rate", title, "events/s", (one.volley.rate for one in each))
        _tell_latency(found, prefix, title, each)
        for tree in each[0].cpu_us if key == "one_core" else ():
            spent = [one.cpu_us[tree] for one in each]
            found.add(f"{prefix}.cpu.{tree}", f"{title}: CPU of {tree}", "µs/event", spent)
        found.add(
            f"{prefix}.driver",
            f"{title}: driver",
            "cores",
            (one.volley.driver_share for one in each),
        )


def _tell_paced(found: Findings, shots: Mapping[str, Sequence[Shot]]) -> None:
    for name, each in shots.items():
        title = f"{TITLES[name]}, one core, {PACED_RATE:.0f}/s"
        _tell_latency(found, f"{name}.paced", title, each)


def _tell_latency(found: Findings, prefix: str, title: str, shots: Sequence[Shot]) -> None:
    for word, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        values = [percentile(one.volley.latencies, share) * MILLISECONDS for one in shots]
        found.add(f"{prefix}.{word}", f"{title}: {word}", "ms", values)


def _tell_ratios(found: Findings, alone: Mapping[str, Sequence[Shot]]) -> None:
    ours = [one.volley.rate for one in alone["stream"]]
    for name in ("gunicorn", "granian"):
        theirs = [one.volley.rate for one in alone[name]]
        title = f"product, to the stream : {TITLES[name]}, one core"
        found.add(f"stream.against_{name}", title, "x", ratios(ours, theirs))
