"""`copies`: what it costs the receiver to have each event on a second disk before its 200.

Two receivers in turn: one beside a Valkey alone, one with `REDIS_COPIES=1` beside a Valkey with a
replica. Both servers of the pair write every entry to the same disk as everything else here, and
share both cores with it; on machines of their own a copy costs a round trip and no disk.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # It ships no types.
import redis

from bench import corpus
from bench.figures import Findings, percentile, ratios
from bench.load import SUCCESS, Aim, Volley, fire
from bench.place import Place, StandError, streams
from bench.scale import Scale
from bench.stand import SECRET, Stand
from bench.trees import CpuMeter, Tree
from bench.turns import in_turn
from dev.up.engine import Address
from dev.up.engines import ValkeyEngine
from dev.up.ports import free_port
from sandbox.simulate.engine import Event

PACED_RATE = 500.0
WARM_SECONDS = 0.4
WARM_TRIES = 20
MILLISECONDS = 1000.0
NONE, ONE = "none", "one"
TITLES = {NONE: "no copy", ONE: "one copy"}


class Replica(ValkeyEngine):
    """A Valkey that copies from another one, as durably."""

    def __init__(self, directory: Path, primary: ValkeyEngine) -> None:
        super().__init__(directory)
        self._primary = primary.address
        self._address = Address(free_port(), self._primary.password)

    def _settings(self) -> str:
        source = f"replicaof 127.0.0.1 {self._primary.port}\n"
        login = f"masterauth {self._primary.password}\nrepl-diskless-sync-delay 0\n"
        return super()._settings() + source + login


@dataclass(frozen=True, slots=True)
class Form:
    """A receiver with the stores that it has, and who works for it."""

    place: Place
    port: int
    trees: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """A load, and the microseconds of CPU that an event of it took, by tree."""

    volley: Volley
    cpu_us: Mapping[str, float]


def measure(stand: Stand, scale: Scale) -> Findings:
    """Both forms in turn, at saturation and at a pace, several rounds."""
    found = Findings("copies")
    chosen = corpus.events(scale.shot_events, "copies")
    full: dict[str, list[Shot]] = defaultdict(list)
    paced: dict[str, list[Shot]] = defaultdict(list)
    with _forms(stand) as forms:
        for form in forms.values():
            _warm_up(form, chosen)
        for number in range(scale.rounds):
            stand.progress.step(f"round {number + 1} of {scale.rounds}")
            for name, form in in_turn(tuple(forms.items()), number):
                full[name].append(_fire(form, chosen, scale.shot_seconds))
            for name, form in in_turn(tuple(forms.items()), number):
                paced[name].append(_fire(form, chosen, scale.paced_seconds, PACED_RATE))
    for name, title in TITLES.items():
        rates = [shot.volley.rate for shot in full[name]]
        found.add(f"{name}.rate", f"{title}, two cores, saturated", "events/s", rates)
        for tree in full[name][0].cpu_us:
            spent = [shot.cpu_us[tree] for shot in full[name]]
            found.add(f"{name}.cpu.{tree}", f"{title}: CPU of {tree}", "µs/event", spent)
        _tell_latency(found, f"{name}.saturated", f"{title}, saturated", full[name])
        at_pace = f"{title}, {PACED_RATE:.0f}/s"
        _tell_latency(found, f"{name}.at_500", at_pace, paced[name])
    ours, theirs = ([shot.volley.rate for shot in full[name]] for name in (ONE, NONE))
    found.add("one.against_none", "one copy : no copy, saturated", "x", ratios(ours, theirs))
    return found


@contextmanager
def _forms(stand: Stand) -> Iterator[Mapping[str, Form]]:
    with ExitStack() as stack:
        alone = stand.place()
        receiver, port = stand.receiver(alone, INTAKE="stream")
        forms = {NONE: Form(alone, port, (receiver, stand.valkey))}
        trees = []
        primary: ValkeyEngine | None = None
        for name in ("primary", "replica"):
            directory = stand.directory / name
            directory.mkdir(mode=0o711)
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            engine = Replica(directory, primary) if primary else ValkeyEngine(directory)
            stack.enter_context(engine)
            primary = primary or engine
            assert engine.process
            trees.append(Tree(name, psutil.Process(engine.process.pid)))
        assert primary
        pair = replace(stand.place(), redis_url=primary.url)
        with pair.redis() as client:
            stand.await_true(partial(_is_copied, client), trees[1], "copies")
        receiver, port = stand.receiver(pair, INTAKE="stream", REDIS_COPIES="1")
        forms[ONE] = Form(pair, port, (receiver, *trees))
        yield forms


def _is_copied(client: redis.Redis) -> bool:
    replica: Any = client.info("replication").get("slave0", {})
    return bool(replica) and replica["state"] == "online"


def _warm_up(form: Form, chosen: Sequence[Event]) -> None:
    """Until every event has its copy: a replica that is new writes all that it got at first."""
    for _ in range(WARM_TRIES):
        with suppress(StandError):
            _fire(form, chosen, WARM_SECONDS)
            return
    raise StandError("the replica does not confirm in time")


def _fire(form: Form, chosen: Sequence[Event], seconds: float, rate: float | None = None) -> Shot:
    form.place.empty()
    count = len(chosen) if rate is None else int(rate * seconds)
    requests = corpus.requests(chosen[:count], SECRET)
    meter = CpuMeter(form.trees)
    meter.start()
    volley = fire(requests, Aim((form.port,), seconds, rate))
    used = meter.stop()
    volley.require_success("the receiver")
    events = volley.statuses[SUCCESS]
    with form.place.redis() as client:
        stored = sum(int(client.xlen(name)) for name in streams(client))
    # What lacked a copy is in the inbox too, and was not answered by the stream.
    lacked = form.place.number("SELECT count(*) FROM webhook_events")
    if lacked or stored < events:
        raise StandError(f"{lacked} of {events} events had too few copies in time")
    return Shot(volley, {name: spent / events * 1e6 for name, spent in used.items()})


def _tell_latency(found: Findings, key: str, title: str, shots: Sequence[Shot]) -> None:
    for word, share in (("p50", 0.5), ("p99", 0.99)):
        values = [percentile(shot.volley.latencies, share) * MILLISECONDS for shot in shots]
        found.add(f"{key}.{word}", f"{title}: {word}", "ms", values)
