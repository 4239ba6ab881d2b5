"""The account's events and what became of each delivery: a list, and a queue for each endpoint.

Times of delivery are Unix seconds of the wall clock, for they do not follow the account's own.
Not for several threads at once; `World` takes care of that.
"""

import heapq
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.simulate.engine import Event
from sandbox.stripe.destinations import Destination, Style
from sandbox.stripe.views import Switches, ThinSwitches

# How far apart shuffled events may end up, and copies from their originals.
_SPREAD_SECONDS = 1.5
_COPIES_MAX = 3
# Growing, then steady; an hour in all before an event is given up.
_PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ATTEMPTS_MAX = 120
# The worst of several comes first.
_STATES = ("failed", "waiting", "lost", "delivered")

Spoiling = Mapping[Style, Switches | ThinSwitches]


@dataclass(slots=True)
class Posting:
    """An event on its way to one endpoint: `waiting`, `delivered`, `failed` or `lost`."""

    delivery: str = "waiting"
    attempts: int = 0
    answer: str = ""


@dataclass(slots=True)
class Posted:
    """An event with the state of its deliveries; `position` counts all events from 0.

    `millisecond` tells events of one second apart. `renditions` are its bodies in the versions
    that other endpoints than the first have, `postings` the deliveries by endpoint.
    """

    position: int
    event: Event
    millisecond: int = 0
    renditions: dict[str, bytes] = field(default_factory=dict)
    postings: dict[str, Posting] = field(default_factory=dict)

    @property
    def delivery(self) -> str:
        """What became of it, the worst of all endpoints; it waits where there is none."""
        states = {one.delivery for one in self.postings.values()}
        return next((state for state in _STATES if state in states), "waiting")

    @property
    def attempts(self) -> int:
        """How often it was posted."""
        return sum(one.attempts for one in self.postings.values())

    @property
    def answer(self) -> str:
        """What was last answered, by an endpoint that has not taken it where there is one."""
        said = [one for one in self.postings.values() if one.answer]
        unhappy = [one for one in said if one.delivery != "delivered"]
        return (unhappy or said)[-1].answer if said else ""

    @property
    def pending(self) -> int:
        """How many endpoints have not taken it yet; it waits where there is none."""
        untaken = sum(one.delivery != "delivered" for one in self.postings.values())
        return untaken if self.postings else 1


@dataclass(slots=True)
class EventLog:
    """Every event, oldest first; those to be posted also wait in the queue of their endpoint."""

    posted: list[Posted] = field(default_factory=list)
    _by_id: dict[str, Posted] = field(default_factory=dict)
    _queues: dict[str, list[tuple[float, int, str]]] = field(default_factory=dict)
    # It decides an order and losses, not a secret.
    _chance: random.Random = field(default_factory=random.Random)

    def restore(self, kept: Iterable[Posted], now: float) -> None:
        """Take up the events of an earlier life; what was never delivered is tried again."""
        for one in kept:
            for name, posting in one.postings.items():
                if posting.delivery in {"waiting", "failed"}:
                    posting.delivery, posting.attempts = "waiting", 0
                    self._push(one, name, now)
            self._note(one)

    def add(
        self,
        events: Iterable[Event],
        destinations: Sequence[Destination],
        spoiling: Spoiling,
        now: float,
        *,
        own_version: str,
    ) -> list[Posted]:
        """Append what has just happened and queue it as the switches of each style say."""
        fresh = [Posted(len(self.posted) + n, event) for n, event in enumerate(events)]
        for one in fresh:
            self._note(one)
            for destination in destinations:
                if destination.wants(one.event, own_version):
                    self._queue(one, destination.id, spoiling[destination.style], now)
        return fresh

    def _queue(self, one: Posted, name: str, switches: Switches | ThinSwitches, now: float) -> None:
        posting = one.postings[name] = Posting()
        if self._chance.random() < switches.loss:
            posting.delivery = "lost"
            return
        spread = self._chance.uniform(0, _SPREAD_SECONDS) if switches.shuffle else 0.0
        at = now + switches.delay_seconds + spread
        self._push(one, name, at)
        for _ in range(_COPIES_MAX):
            if self._chance.random() >= switches.duplicates:
                break
            self._push(one, name, at + self._chance.uniform(0, _SPREAD_SECONDS))

    def again(self, one: Posted, now: float) -> None:
        """Queue an event once more, to every endpoint that it was ever posted to."""
        for name, posting in one.postings.items():
            posting.delivery = "waiting"
            self._push(one, name, now)

    def get(self, event_id: str) -> Posted | None:
        """One event by its id."""
        return self._by_id.get(event_id)

    @property
    def next_at(self) -> float | None:
        """When the next delivery is due; None when nothing waits."""
        return min((queue[0][0] for queue in self._queues.values() if queue), default=None)

    def next_of(self, name: str) -> float | None:
        """When the next delivery to an endpoint is due; None when nothing waits for it."""
        queue = self._queues.get(name)
        return queue[0][0] if queue else None

    def take(self, name: str, now: float) -> Posted | None:
        """Take the next delivery to an endpoint that is due out of its queue."""
        queue = self._queues.get(name)
        if not queue or queue[0][0] > now:
            return None
        return self._by_id[heapq.heappop(queue)[2]]

    def bring_forward(self, at: float) -> None:
        """Have everything that waits be due now, in the order in which the events happened."""
        # Sorted, which a heap is content with.
        for queue in self._queues.values():
            queue[:] = sorted((at, position, event_id) for _, position, event_id in queue)

    def drop(self, keep: Collection[str]) -> None:
        """Cancel what waits for endpoints that are gone or disabled; `keep` names the others."""
        for name in self._queues.keys() - set(keep):
            for _, _, event_id in self._queues.pop(name):
                posting = self._by_id[event_id].postings[name]
                if posting.delivery == "waiting":
                    posting.delivery = "failed"

    def record_answer(
        self, one: Posted, name: str, answer: str, *, accepted: bool, now: float
    ) -> None:
        """Record how a delivery went; one that failed is queued again until enough is enough."""
        posting = one.postings[name]
        posting.attempts += 1
        posting.answer = answer
        if accepted:
            posting.delivery = "delivered"
        elif posting.delivery == "waiting" and posting.attempts < _ATTEMPTS_MAX:
            pause = _PAUSES_SECONDS[min(posting.attempts, len(_PAUSES_SECONDS)) - 1]
            self._push(one, name, now + pause)
        elif posting.delivery == "waiting":
            posting.delivery = "failed"

    def _note(self, one: Posted) -> None:
        before = self.posted[-1] if self.posted else None
        if before is not None and before.event.created == one.event.created:
            one.millisecond = before.millisecond + 1
        self.posted.append(one)
        self._by_id[one.event.id] = one

    def _push(self, one: Posted, name: str, at: float) -> None:
        heapq.heappush(self._queues.setdefault(name, []), (at, one.position, one.event.id))
