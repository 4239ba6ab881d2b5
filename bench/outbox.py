"""`outbox`: what telling users and their apps costs the applying of events.

Three workers of one process each, in turn on the same events: one with the outbox taken out of it,
one with nobody to tell, one with a destination that takes every message at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import corpus
from bench.backlog import Drained, Waiting, drained, fill_stream, warm
from bench.figures import Findings, ratios
from bench.place import Place
from bench.scale import SECONDS_MAX, Scale
from bench.stand import START_SECONDS_MAX, Stand, product_settings
from bench.trees import CpuMeter, Tree
from bench.turns import in_turn
from dev.up.ports import free_port
from sandbox.simulate.engine import Event

WITHOUT, UNHEARD, HEARD = "without", "unheard", "heard"
TITLES = {
    WITHOUT: "stream, one worker process, no outbox",
    UNHEARD: "stream, one worker process, outbox, no destination",
    HEARD: "stream, one worker process, outbox, one destination",
}
PERCENT = 100.0
_DESTINATION = "INSERT INTO destinations (id, url, secret) VALUES ('bench', %s, %s)"
_SECRET = "whsec_" + "YmVuY2g=" * 4


@dataclass(frozen=True, slots=True)
class _Side:
    """A worker with a place of its own; `url` is the destination that it tells, if there is one."""

    name: str
    place: Place
    worker: Tree
    url: str | None = None

    def drained(self, stand: Stand, chosen: Sequence[Event]) -> Drained:
        """Fill the stream and look on until nothing is left in it."""
        self.place.empty()
        if self.url:
            with self.place.cursor() as cursor:
                cursor.execute(_DESTINATION, (self.url, _SECRET))
        fill_stream(self.place, chosen)
        meter = CpuMeter((self.worker, stand.postgres, stand.valkey))
        with Waiting(self.place) as waiting:
            done = drained(waiting.in_stream, waiting.send_wake_up, meter, seconds_max=SECONDS_MAX)
        if done.events == len(chosen):
            self.place.require_applied(chosen)
        return done


def measure(stand: Stand, scale: Scale) -> Findings:
    """All three in turn, several rounds."""
    found = Findings("outbox")
    chosen = corpus.events(scale.events, "apply")
    sides = [_without(stand), _side(stand, UNHEARD), _heard(stand)]
    for side in sides:
        warming = corpus.events(scale.warm_events, "warm")
        warm(side.place, side.worker, warming, START_SECONDS_MAX)
    done: dict[str, list[Drained]] = {side.name: [] for side in sides}
    for number in range(scale.whole_rounds):
        for side in in_turn(sides[::-1], number):
            stand.progress.step(f"round {number + 1} of {scale.whole_rounds}: {side.name}")
            done[side.name].append(side.drained(stand, chosen))
            # What is still to be told must not be told while another is measured.
            side.place.empty()
    _tell(found, done)
    return found


def _without(stand: Stand) -> _Side:
    place = stand.place()
    words = ("-m", "bench.without_outbox", "worker", "--concurrency", "1")
    return _Side(WITHOUT, place, stand.start("worker", words, product_settings(place)))


def _side(stand: Stand, name: str, url: str | None = None) -> _Side:
    place = stand.place()
    words = ("worker", "--concurrency", "1")
    worker = stand.product("worker", words, place, DESTINATIONS_ALLOW_PRIVATE="true")
    return _Side(name, place, worker, url)


def _heard(stand: Stand) -> _Side:
    port = free_port()
    listener = stand.start("listener", ("-m", "bench.listener", str(port)), {})
    stand.await_answer(listener, port)
    return _side(stand, HEARD, f"http://127.0.0.1:{port}/")


def _tell(found: Findings, done: dict[str, list[Drained]]) -> None:
    rates = {name: [each.rate for each in rounds] for name, rounds in done.items()}
    spent = {
        name: [each.cpu_us("worker", "PostgreSQL") for each in rounds]
        for name, rounds in done.items()
    }
    for name, title in TITLES.items():
        found.add(f"{name}.rate", title, "events/s", rates[name])
        found.add(f"{name}.cpu", f"{title}: CPU of worker and PostgreSQL", "µs/event", spent[name])
    for name in (UNHEARD, HEARD):
        slower = [PERCENT * (1 - ratio) for ratio in ratios(rates[name], rates[WITHOUT])]
        dearer = [PERCENT * (ratio - 1) for ratio in ratios(spent[name], spent[WITHOUT])]
        found.add(f"{name}.price", f"{TITLES[name]}: slower by", "%", slower)
        found.add(f"{name}.price_cpu", f"{TITLES[name]}: CPU dearer by", "%", dearer)
