"""Many requests, one wait for the disk: collects what an event loop is given, stores it together.

The loop hands over deliveries one by one and never waits for a store. Whatever has come while a
packet is under way is the next one: the longer the disk takes, the more share the next wait; an
idle receiver stores a single delivery at once. The loop itself sends packets to a Redis that is
well (`loop_lane`). Two threads, one a store, do what could take time: a Redis that is not, and the
inbox (docs/decisions/0018).
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import redis

from db.queue.loop_stream import LoopStream
from domain.events import Delivery
from ingest.intake.intake import ANSWER_SECONDS_MAX, Intake, NotStoredError, Store
from ingest.intake.loop_lane import LoopLane
from ingest.intake.waiting import PACKET_DELIVERIES_MAX, Waiting, answer

# Deliveries that wait for a store at the same time; Stripe is told to come back for more.
IN_FLIGHT_MAX = 4_096
IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024
_LOOK_EVERY_SECONDS = 0.25
# What a thread is told.
_GO_ON, _END = True, False


class TooBusyError(Exception):
    """As many deliveries wait for storage as this process may hold; nothing was taken."""


class GroupCommit:
    """Stores deliveries of one event loop in groups; `accept` is called on that loop only."""

    def __init__(self, intake: Intake, *, answer_seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        self._inbox = _Lane("inbox", intake.to_inbox, otherwise=_refuse)
        loop_stream = LoopStream(intake.stream)
        # A database that hangs holds up nobody who waits for Redis.
        self._stream = _Lane(
            "stream", _opening(loop_stream, intake.to_stream), otherwise=self._inbox.put
        )
        self._at_once = LoopLane(
            intake, loop_stream, by_thread=self._stream.put, otherwise=self._inbox.put
        )
        self._answer_seconds_max = answer_seconds_max
        self._deadlines: deque[tuple[float, asyncio.Future[Store]]] = deque()
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to store what `loop` hands over."""
        self._loop = loop
        for lane in (self._at_once, self._stream, self._inbox):
            lane.start(loop)
        loop.call_later(_LOOK_EVERY_SECONDS, self._expire)

    def stop(self) -> None:
        """Let the threads end once they have stored what waits."""
        self._loop = None
        self._at_once.stop()
        self._stream.stop()
        self._inbox.stop()

    async def accept(self, delivery: Delivery) -> Store:
        """Keep the delivery and say where, once it is on disk.

        Raises `NotStoredError` when no store took it in time, `TooBusyError` when too many wait.
        """
        size = len(delivery.body)
        if self._in_flight >= IN_FLIGHT_MAX or self._in_flight_bytes + size > IN_FLIGHT_BYTES_MAX:
            raise TooBusyError
        future: asyncio.Future[Store] = asyncio.get_running_loop().create_future()
        self._in_flight += 1
        self._in_flight_bytes += size
        self._deadlines.append((time.monotonic() + self._answer_seconds_max, future))
        self._at_once.put((delivery, future))
        try:
            return await future
        finally:
            self._in_flight -= 1
            self._in_flight_bytes -= size

    def _expire(self) -> None:
        """Tell whoever has waited too long that nothing was promised; a late store is harmless."""
        self._at_once.give_up_late()
        now = time.monotonic()
        while self._deadlines and (self._deadlines[0][1].done() or self._deadlines[0][0] < now):
            _, future = self._deadlines.popleft()
            if not future.done():
                future.set_exception(NotStoredError())
        if self._loop is not None:
            self._loop.call_later(_LOOK_EVERY_SECONDS, self._expire)


class _Lane:
    """A thread that stores groups, and what waits for it."""

    def __init__(
        self,
        name: str,
        store: Callable[[Sequence[Delivery]], Sequence[Store | None]],
        *,
        otherwise: Callable[[Waiting], None],
    ) -> None:
        """`otherwise` gets what `store` did not take; it is called on the event loop."""
        self._name = name
        self._store = store
        self._otherwise = otherwise
        self._waiting: deque[Waiting] = deque()
        # Has something when an idle thread has to begin; to wake it for each delivery would cost
        # a system call each.
        self._begin: SimpleQueue[bool] = SimpleQueue()
        self._is_idle = True

    def put(self, waiting: Waiting) -> None:
        """Have a delivery stored; any thread may call it."""
        self._waiting.append(waiting)
        if self._is_idle:
            self._is_idle = False
            self._begin.put(_GO_ON)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to store."""
        threading.Thread(
            target=self._store_groups, args=(loop,), name=f"group-commit-{self._name}", daemon=True
        ).start()

    def stop(self) -> None:
        """Let the thread end when it has stored what waits."""
        self._begin.put(_END)

    def _store_groups(self, loop: asyncio.AbstractEventLoop) -> None:
        goes_on = True
        while goes_on:
            goes_on = self._begin.get()
            while taken := self._next_group():
                # Who has waited too long was told so; while a store hangs they would hold up the
                # others.
                group = [waiting for waiting in taken if not waiting[1].done()]
                outcomes = self._outcomes([delivery for delivery, _ in group])
                try:
                    loop.call_soon_threadsafe(answer, group, outcomes, self._otherwise)
                except RuntimeError:
                    return  # The loop is closed; nobody waits for an answer any more.

    def _next_group(self) -> list[Waiting]:
        """What waits; where nothing does, the thread is idle from here on."""
        if not self._waiting:
            self._is_idle = True
            # Something may have come before that was known.
            if not self._waiting:
                return []
            self._is_idle = False
        count = min(len(self._waiting), PACKET_DELIVERIES_MAX)
        return [self._waiting.popleft() for _ in range(count)]

    def _outcomes(self, deliveries: Sequence[Delivery]) -> Sequence[Store | Exception | None]:
        try:
            return self._store(deliveries) if deliveries else []
        except Exception as error:  # noqa: BLE001 - the requests tell; without this thread nothing would be stored.
            return [error] * len(deliveries)


def _opening(
    loop_stream: LoopStream, store: Callable[[Sequence[Delivery]], Sequence[Store | None]]
) -> Callable[[Sequence[Delivery]], Sequence[Store | None]]:
    """Store in this way, after which the loop can send the next packet itself."""

    def to_stream(deliveries: Sequence[Delivery]) -> Sequence[Store | None]:
        outcomes = store(deliveries)
        if any(outcomes):
            # Where it cannot, the thread goes on storing, and tries again with the next.
            with contextlib.suppress(redis.RedisError, OSError):
                loop_stream.open()
        return outcomes

    return to_stream


def _refuse(waiting: Waiting) -> None:
    waiting[1].set_exception(NotStoredError())
