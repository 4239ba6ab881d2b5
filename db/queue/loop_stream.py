"""Puts deliveries into the stream for an event loop, which may not wait for the answer.

The same packets as `EventStream.put_each` sends; what is other is that nothing here waits, so a
delivery that comes alone changes threads neither on its way in nor out (docs/decisions/0018).
"""

from collections.abc import Sequence
from contextlib import suppress

import redis

from db.queue.copies import NUDGE_CHANNEL
from db.queue.redis_connection import LoopLine
from db.queue.stream import Appended, EventStream
from domain.events import Delivery


class LoopStream(LoopLine):
    """One connection of one event loop to the stream, with at most one packet under way."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__(stream.client)
        self._stream = stream
        self._count = 0

    def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Send the deliveries; only where there is a connection and nothing is under way."""
        self._count = len(deliveries)
        self.send(*self._stream.packet(deliveries))

    @property
    def waits_for_copies(self) -> bool:
        """Whether a packet is answered only when replicas have it."""
        return self._stream.waits_for_copies

    def nudge(self) -> None:
        """Have the primary send its replicas something; blocks, so call it in another thread.

        Where Redis is away nothing comes of it, and the packet tells why.
        """
        with suppress(redis.RedisError, OSError):
            self._stream.client.publish(NUDGE_CHANNEL, b"")

    def outcome(self) -> Appended | None:
        """What became of them; None while Redis has not answered them all."""
        answers = self.answers()
        return None if answers is None else self._stream.appended(self._count, answers)
