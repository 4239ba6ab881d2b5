"""Puts deliveries into the stream for an event loop, which may not wait for the answer.

The same packets as `EventStream.put_each` sends; what is other is that nothing here waits, so a
delivery that comes alone changes threads neither on its way in nor out (docs/decisions/0018).
"""

from collections.abc import Callable, Sequence

import redis

from db.queue.redis_connection import LoopLine
from db.queue.stream import Appended, EventStream
from domain.events import Delivery


class LoopStream:
    """One connection of one event loop to the stream, with at most one packet under way."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._line = LoopLine(stream.client)
        self._count = 0

    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._line.is_open()

    def open(self) -> None:
        """Connect where there is no connection. May wait: for a thread that is not the loop's.

        Raises `redis.RedisError` or OSError.
        """
        self._line.open()

    def before_close(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when the file is about to be closed: it is to be watched no more."""
        self._line.before_close = tell

    def descriptor(self) -> int | None:
        """The file to watch for answers; None while there is no connection."""
        return self._line.descriptor()

    def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Send the deliveries; only where there is a connection and nothing is under way."""
        self._count = len(deliveries)
        self._line.send(*self._stream.packet(deliveries))

    def outcome(self) -> Appended | None:
        """What became of them; None while Redis has not answered them all."""
        answers = self._line.answers()
        return None if answers is None else self._stream.appended(self._count, answers)

    def is_late(self) -> bool:
        """Whether an answer takes longer than the client waits for one elsewhere."""
        return self._line.is_late()

    def give_up(self) -> None:
        """Wait no longer: what has no answer counts as failed, and the connection ends."""
        self._line.give_up(redis.TimeoutError("Redis did not answer in time"))

    def close(self) -> None:
        """End the connection."""
        self._line.close()
