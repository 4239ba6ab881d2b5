"""Sends signed events while things break, as Stripe would: again, until they are accepted.

It remembers when each event was first answered 2xx: that is the promise the product is held to.
"""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from sandbox.simulate.delivery import PATH, Pace, plan_lanes, signature_header
from sandbox.simulate.engine import Event
from sandbox.simulate.wire import BROKEN, Wire

LANES = 8
DUPLICATES = 0.3
PAUSE_SECONDS_MAX = 2.0
NO_ANSWER = 0
# Answers after which Stripe tries again, and which a product in trouble may give.
PUT_OFF = (NO_ANSWER, 503)
# Slower than this a load that is nearly over does not get: whoever finishes it waits for its lanes.
LEAST_RATE = 1.0
# Within this distance of the receiver's clock a signature must be accepted.
TOLERANCE_SECONDS = 300


class Connection(Protocol):
    """How a lane sends: to one receiver, or to whichever answers."""

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return the status and body of an answer; raises one of BROKEN when none comes."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class Load:
    """A stream of deliveries on lanes of its own; shuffled, some of them several times.

    `accepted` is when (Unix time) each event id was first answered 2xx, `answers` counts every
    answer by status (`NO_ANSWER` for none) and `wrong` those that a good event must never get.
    `hurries_since` is when it began to send the rest without keeping to its rate.
    """

    def __init__(
        self,
        base_url: str,
        secret: str,
        events: Sequence[Event],
        *,
        rate: float,
        seed: int,
        connect: Callable[[], Connection] | None = None,
    ) -> None:
        """`rate` is in deliveries a second; order and duplicates follow the seed.

        `connect` makes the connection of each lane, where it is not simply to the base URL.
        """
        self.accepted: dict[str, float] = {}
        self.answers: Counter[int] = Counter()
        self.wrong: Counter[int] = Counter()
        self.answer_seconds: list[float] = []
        self.clock_offset_seconds = 0
        self.hurries_since: float | None = None
        self._connect = connect or (lambda: Wire(base_url))
        self._secret = secret
        self._rate: float | None = rate
        self._spread_seconds: float | None = None
        self._pace = Pace()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._queues = plan_lanes(
            events,
            lanes=LANES,
            duplicates=DUPLICATES,
            shuffle=True,
            chance=random.Random(seed),  # noqa: S311 - it decides an order, no secret.
        )
        self.deliveries = self._left = sum(map(len, self._queues))
        self._threads = [
            threading.Thread(target=self._lane, args=(queue,), daemon=True)
            for queue in self._queues
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    @property
    def is_sending(self) -> bool:
        """Whether anything is left to be sent or accepted."""
        return any(thread.is_alive() for thread in self._threads)

    def spread(self, seconds: float) -> None:
        """Make what is left last about so long, at no more than the rate.

        A machine may be slower than whoever planned the load thought. The less is left the more
        slowly it goes, so that something is sent all the while, however late the end comes.
        """
        self._spread_seconds = seconds

    def burst(self) -> contextlib.AbstractContextManager[None]:
        """Send without keeping to the rate until the block ends, so that packets fill."""
        return self.at_rate(None)

    @contextlib.contextmanager
    def at_rate(self, deliveries_a_second: float | None) -> Iterator[None]:
        """Send at another rate until the block ends, however little is left."""
        before = self._rate, self._spread_seconds
        self._rate, self._spread_seconds = deliveries_a_second, None
        try:
            yield
        finally:
            self._rate, self._spread_seconds = before

    def finish(self, timeout_seconds: float) -> bool:
        """Send the rest as fast as it goes; whether all of it was accepted in time."""
        self._rate = None
        self.hurries_since = time.time()
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        is_done = not self.is_sending
        self.stop()
        return is_done

    def stop(self) -> None:
        """Send no more; returns when every lane has ended."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _lane(self, queue: Sequence[Event]) -> None:
        wire = self._connect()
        for event in queue:
            if self._stop.is_set():
                break
            self._await_turn()
            attempt = 0
            while not self._stop.is_set() and not self._is_accepted(wire, event):
                self._stop.wait(min(PAUSE_SECONDS_MAX, 0.05 * 2**attempt))
                attempt += 1
        wire.close()

    def _await_turn(self) -> None:
        with self._lock:
            rate, left = self._rate, self._left
            self._left -= 1
        if rate and self._spread_seconds:
            rate = max(LEAST_RATE, min(rate, left / self._spread_seconds))
        self._pace.wait(rate)

    def _is_accepted(self, wire: Connection, event: Event) -> bool:
        began, offset = time.monotonic(), self.clock_offset_seconds
        status = self._post(wire, event.body, int(time.time()) + offset)
        good = is_success(status)
        with self._lock:
            self.answers[status] += 1
            if good:
                self.accepted.setdefault(event.id, time.time())
                self.answer_seconds.append(time.monotonic() - began)
            self.wrong[status] += is_wrong(status, offset)
        return good

    def _post(self, wire: Connection, body: bytes, timestamp: int) -> int:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature_header(body, self._secret, timestamp),
        }
        try:
            return wire.request("POST", PATH, headers, body)[0]
        except BROKEN:
            return NO_ANSWER


def is_success(status: int) -> bool:
    """Whether the receiver has taken the event on."""
    return 200 <= status < 300  # noqa: PLR2004 - this range is what HTTP calls success.


def is_wrong(status: int, clock_offset_seconds: int) -> bool:
    """Whether a good event must never get this answer, whatever else is broken.

    One with a signature from another time must be refused, one of now may be put off, no more.
    """
    if abs(clock_offset_seconds) > TOLERANCE_SECONDS:
        return is_success(status)
    return not is_success(status) and status not in PUT_OFF
