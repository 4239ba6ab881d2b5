"""Stores on the event loop itself what Redis takes at once, in groups (docs/decisions/0018).

A delivery that went through a thread would be handed over twice, which costs more than all that
Redis does for it. While one packet is under way the next one fills.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from db.queue.copies import NUDGE_SECONDS
from db.queue.loop_stream import LoopStream
from ingest.intake.intake import Intake, Store
from ingest.intake.waiting import PACKET_DELIVERIES_MAX, Waiting, answer

# More could fill the buffers of a connection whose server hangs, and sending would wait.
PACKET_BYTES_MAX = 64 * 1024


class LoopLane:
    """Deliveries that wait for the stream, and the packet that is under way; on one event loop."""

    def __init__(
        self,
        intake: Intake,
        stream: LoopStream,
        *,
        by_thread: Callable[[Waiting], None],
        otherwise: Callable[[Waiting], None],
    ) -> None:
        """`stream` is the loop's own connection, which a thread opens.

        `by_thread` gets what could not be sent at once, `otherwise` what was not taken.
        """
        self._intake = intake
        self._stream = stream
        self._by_thread = by_thread
        self._otherwise = otherwise
        self._waiting: deque[Waiting] = deque()
        self._under_way: list[Waiting] = []
        self._is_awake = False
        self._watched: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="nudge")
        self._nudge_later: asyncio.TimerHandle | None = None
        self._nudging: Future[None] | None = None
        stream.before_close = self._unwatch

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to store."""
        self._loop = loop

    def stop(self) -> None:
        """End the connection; what is under way is not answered any more."""
        self._stream.close()
        self._nudge_no_more()
        self._helper.shutdown(wait=False, cancel_futures=True)

    def put(self, waiting: Waiting) -> None:
        """Have a delivery stored."""
        self._waiting.append(waiting)
        if not self._is_awake and self._loop is not None:
            self._is_awake = True
            # What came in the same turn of the loop goes in the same packet.
            self._loop.call_soon(self._begin)

    def give_up_late(self) -> None:
        """End the wait for an answer that takes longer than the client would wait for it."""
        if self._under_way and self._stream.end_late():
            self._go_on()

    def _begin(self) -> None:
        """Send what waits, or hand it to the thread."""
        while self._waiting and not self._under_way:
            group = self._next_group()
            if _is_small(group) and self._watch(self._descriptor()):
                self._send(group)
            else:
                for waiting in group:
                    self._by_thread(waiting)
        self._is_awake = bool(self._under_way)

    def _go_on(self) -> None:
        self._take_answers()
        if not self._under_way:
            self._begin()

    def _send(self, group: list[Waiting]) -> None:
        self._under_way = group
        try:
            self._stream.begin([delivery for delivery, _ in group])
        except Exception as error:  # noqa: BLE001 - the requests tell; the loop must go on.
            self._conclude([error] * len(group))
            return
        if not self._stream.is_open():
            self._take_answers()  # It broke while it was written to.
        elif self._stream.waits_for_copies and self._loop is not None:
            self._nudge_later = self._loop.call_later(NUDGE_SECONDS, self._nudge)

    def _nudge(self) -> None:
        """Help on a packet that waits for a copy; one helper at a time, should Redis hang."""
        if self._nudging is None or self._nudging.done():
            self._nudging = self._helper.submit(self._stream.nudge)

    def _nudge_no_more(self) -> None:
        if self._nudge_later is not None:
            self._nudge_later.cancel()

    def _take_answers(self) -> None:
        """Answer the packet that is under way, when Redis has answered it."""
        outcomes: Sequence[Store | Exception | None] | None
        try:
            appended = self._stream.outcome()
            outcomes = self._intake.conclude(appended) if appended else None
        except Exception as error:  # noqa: BLE001 - as above.
            self._stream.close()
            outcomes = [error] * len(self._under_way)
        if outcomes is not None:
            self._conclude(outcomes)

    def _conclude(self, outcomes: Sequence[Store | Exception | None]) -> None:
        self._nudge_no_more()
        group, self._under_way = self._under_way, []
        answer(group, outcomes, self._otherwise)

    def _next_group(self) -> list[Waiting]:
        group: list[Waiting] = []
        size = 0
        while self._waiting and len(group) < PACKET_DELIVERIES_MAX:
            size += len(self._waiting[0][0].body)
            if group and size > PACKET_BYTES_MAX:
                break
            group.append(self._waiting.popleft())
        return group

    def _readable(self) -> None:
        if self._under_way:
            self._go_on()
        else:
            # Nothing was asked, so the other end has closed the connection.
            self._stream.close()

    def _descriptor(self) -> int | None:
        """The file to watch for answers; None where to send could take time now."""
        return self._stream.descriptor() if self._intake.may_begin() else None

    def _watch(self, descriptor: int | None) -> bool:
        """Watch this file until it is closed; whether there is one."""
        if self._watched is None and descriptor is not None and self._loop is not None:
            try:
                self._loop.add_reader(descriptor, self._readable)
            except OSError:
                return False  # No file that this machine can watch.
            self._watched = descriptor
        return descriptor is not None

    def _unwatch(self) -> None:
        if self._watched is not None and self._loop is not None:
            self._loop.remove_reader(self._watched)
            self._watched = None


def _is_small(group: list[Waiting]) -> bool:
    return len(group) > 1 or len(group[0][0].body) <= PACKET_BYTES_MAX
