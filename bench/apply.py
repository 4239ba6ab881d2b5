"""`apply`: how fast a worker makes what waits true, and what a single event costs.

One worker process alone: on a filled stream, on a filled inbox, on events it has all applied
before, and on a replay of everything; then two, on the stream; then four, also with a few hot
customers. Beside it one process of the usual
Celery task per event, with its queue filled. Nothing is sent meanwhile.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench import corpus
from bench.backlog import (
    Drained,
    Waiting,
    drained,
    fill_inbox,
    fill_stream,
    warm,
)
from bench.celery_form import CeleryForm
from bench.figures import Findings, ratios
from bench.hot import measure_hot
from bench.place import Place
from bench.replaying import NAME as REPLAY
from bench.replaying import replayed
from bench.scale import SECONDS_MAX, Scale
from bench.split import MEANINGS
from bench.splitting import split
from bench.stand import START_SECONDS_MAX, Stand
from bench.trees import CpuMeter, Tree
from sandbox.simulate.engine import Event

TITLES = {
    "stream": "stream, one worker process",
    "inbox": "inbox, one worker process",
    "duplicates": "duplicates only (stream), one worker process",
    "replay": "full replay, one process",
    "two": "stream, two worker processes",
    "celery": "Celery task per event, one worker process",
}
# A look at the inbox costs PostgreSQL something.
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Bench:
    """A worker with a place of its own, and the events it is given."""

    stand: Stand
    place: Place
    worker: Tree
    waiting: Waiting
    events: Sequence[Event]

    def from_stream(self) -> Drained:
        """New events, waiting in the stream."""
        self.place.empty()
        return self._again()

    def duplicates(self) -> Drained:
        """The events that are in the inbox already, in the stream once more."""
        return self._again()

    def from_inbox(self) -> Drained:
        """New events, waiting in the inbox."""
        self.place.empty()
        fill_inbox(self.place, self.events)
        return self._checked(self._drained(self.waiting.in_inbox, LOOK_SECONDS))

    def replay(self) -> Drained:
        """Everything that is stored, again."""
        trees = (self.stand.postgres, self.stand.valkey)
        return replayed(self.place, len(self.events), trees, SECONDS_MAX)

    def _again(self) -> Drained:
        fill_stream(self.place, self.events)
        return self._checked(self._drained(self.waiting.in_stream, 0.01))

    def _drained(self, left: Callable[[], int], every_seconds: float) -> Drained:
        meter = CpuMeter((self.worker, self.stand.postgres, self.stand.valkey))
        return drained(
            left,
            self.waiting.send_wake_up,
            meter,
            seconds_max=SECONDS_MAX,
            every_seconds=every_seconds,
        )

    def _checked(self, done: Drained) -> Drained:
        if done.events == len(self.events):
            self.place.require_applied(self.events)
        return done


def measure(stand: Stand, scale: Scale) -> Findings:
    """Each way in turn, several rounds; then one run more with the worker's functions timed."""
    found = Findings("apply")
    chosen = corpus.events(scale.events, "apply")
    warming = corpus.events(scale.warm_events, "warm")
    done: dict[str, list[Drained]] = defaultdict(list)
    with ExitStack() as stack:
        one, two = (_bench(stand, stack, chosen, warming, processes=n) for n in (1, 2))
        form = CeleryForm(stand, processes=1)
        form.drained(warming[: scale.rival_events // 4])
        for _ in range(scale.rounds):
            done["stream"].append(one.from_stream())
            done["celery"].append(form.drained(chosen[: scale.rival_events]))
            done["duplicates"].append(one.duplicates())
            done["replay"].append(one.replay())
            done["inbox"].append(one.from_inbox())
            done["two"].append(two.from_stream())
        _tell(found, done)
        one.place.empty()
        for worker in (one.worker, two.worker, form.worker):
            stand.stop(worker)
        engines = (stand.postgres, stand.valkey)
        _tell_split(found, split(one.place, engines, warming=warming, chosen=chosen))
        measure_hot(found, stand, scale, chosen, warming)
    found.note(
        f"apply: {corpus.mean_bytes(chosen):,.0f} bytes an event on average,"
        f" {len({event.customer_id for event in chosen}):,} customers,"
        f" {len(chosen):,} events a round, {scale.rival_events:,} for the Celery form"
    )
    return found


def _bench(
    stand: Stand,
    stack: ExitStack,
    chosen: Sequence[Event],
    warming: Sequence[Event],
    *,
    processes: int,
) -> _Bench:
    place = stand.place()
    worker = stand.worker(place, processes=processes)
    warm(place, worker, warming, START_SECONDS_MAX)
    return _Bench(stand, place, worker, stack.enter_context(Waiting(place)), chosen)


def _tell(found: Findings, done: dict[str, list[Drained]]) -> None:
    for name, rounds in done.items():
        title = TITLES[name]
        worker = REPLAY if name == "replay" else "celery" if name == "celery" else "worker"
        found.add(f"{name}.rate", title, "events/s", (each.rate for each in rounds))
        found.add(
            f"{name}.cpu",
            f"{title}: CPU of worker and PostgreSQL",
            "µs/event",
            (each.cpu_us(worker, "PostgreSQL") for each in rounds),
        )
        found.add(
            f"{name}.per_core",
            f"{title}: for each core that is busy, Valkey's too",
            "events/s",
            (1e6 / each.cpu_us() for each in rounds),
        )
    rates = {name: [each.rate for each in rounds] for name, rounds in done.items()}
    for name, key, title in (
        ("celery", "stream.against_celery", "stream : Celery task per event, per worker process"),
        ("stream", "two.against_one", "two worker processes : one"),
    ):
        ours = rates["two"] if name == "stream" else rates["stream"]
        found.add(key, title, "x", ratios(ours, rates[name]))
    found.add(
        "duplicates.against_new",
        "duplicates : new events",
        "x",
        ratios(rates["duplicates"], rates["stream"]),
    )


def _tell_split(found: Findings, spent: Mapping[str, float]) -> None:
    for part, microseconds in spent.items():
        meaning = f" ({MEANINGS[part]})" if part in MEANINGS else ""
        found.add(f"split.{part}", f"CPU of {part}{meaning}", "µs/event", (microseconds,))
    found.note("apply: the CPU split is of a run of its own, with the worker's functions timed")
