"""Puts deliveries into the stream for an event loop, which may not wait for the answer.

The same packets as `EventStream.put_each` sends; what is other is that nothing here waits, so a
delivery that comes alone changes threads neither on its way in nor out (docs/decisions/0018).
"""

from collections.abc import Sequence

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

    def outcome(self) -> Appended | None:
        """What became of them; None while Redis has not answered them all."""
        answers = self.answers()
        return None if answers is None else self._stream.appended(self._count, answers)
