"""The account's events and what became of each delivery: a list, and a queue by time.

Times of delivery are Unix seconds of the wall clock, for they do not follow the account's own.
Not for several threads at once; `World` takes care of that.
"""

import heapq
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from sandbox.simulate.engine import Event
from sandbox.stripe.views import Switches

# How far apart shuffled events may end up, and copies from their originals.
_SPREAD_SECONDS = 1.5
_COPIES_MAX = 3
# Growing, then steady; an hour in all before an event is given up.
_PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ATTEMPTS_MAX = 120


@dataclass(slots=True)
class Posted:
    """An event with the state of its delivery; `position` counts all events from 0."""

    position: int
    event: Event
    delivery: str = "waiting"
    attempts: int = 0
    answer: str = ""


@dataclass(slots=True)
class EventLog:
    """Every event, oldest first; those to be posted also wait in a queue."""

    posted: list[Posted] = field(default_factory=list)
    _by_id: dict[str, Posted] = field(default_factory=dict)
    _queue: list[tuple[float, int, str]] = field(default_factory=list)
    # It decides an order and losses, not a secret.
    _chance: random.Random = field(default_factory=random.Random)

    def restore(self, kept: Iterable[Posted], now: float) -> None:
        """Take up the events of an earlier life; what was never delivered is tried again."""
        for one in kept:
            if one.delivery in {"waiting", "failed"}:
                one.delivery, one.attempts = "waiting", 0
                self._push(one, now)
            self._note(one)

    def add(self, events: Iterable[Event], switches: Switches, now: float) -> list[Posted]:
        """Append what has just happened and queue it as the switches say."""
        fresh = [Posted(len(self.posted) + n, event) for n, event in enumerate(events)]
        for one in fresh:
            self._note(one)
            if self._chance.random() < switches.loss:
                one.delivery = "lost"
                continue
            spread = self._chance.uniform(0, _SPREAD_SECONDS) if switches.shuffle else 0.0
            at = now + switches.delay_seconds + spread
            self._push(one, at)
            for _ in range(_COPIES_MAX):
                if self._chance.random() >= switches.duplicates:
                    break
                self._push(one, at + self._chance.uniform(0, _SPREAD_SECONDS))
        return fresh

    def get(self, event_id: str) -> Posted | None:
        """One event by its id."""
        return self._by_id.get(event_id)

    @property
    def next_at(self) -> float | None:
        """When the next delivery is due; None when nothing waits."""
        return self._queue[0][0] if self._queue else None

    def take(self, now: float) -> Posted | None:
        """Take the next delivery that is due out of the queue."""
        if not self._queue or self._queue[0][0] > now:
            return None
        return self._by_id[heapq.heappop(self._queue)[2]]

    def bring_forward(self, at: float) -> None:
        """Have everything that waits be due now, in the order in which the events happened."""
        # Sorted, which a heap is content with.
        self._queue[:] = sorted((at, position, event_id) for _, position, event_id in self._queue)

    def record_answer(self, one: Posted, answer: str, *, accepted: bool, now: float) -> None:
        """Record how a delivery went; one that failed is queued again until enough is enough."""
        one.attempts += 1
        one.answer = answer
        if accepted:
            one.delivery = "delivered"
        elif one.delivery == "waiting" and one.attempts < _ATTEMPTS_MAX:
            pause = _PAUSES_SECONDS[min(one.attempts, len(_PAUSES_SECONDS)) - 1]
            self._push(one, now + pause)
        elif one.delivery == "waiting":
            one.delivery = "failed"

    def _note(self, one: Posted) -> None:
        self.posted.append(one)
        self._by_id[one.event.id] = one

    def _push(self, one: Posted, at: float) -> None:
        heapq.heappush(self._queue, (at, one.position, one.event.id))
