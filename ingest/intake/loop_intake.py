"""The short way into the stream: what an event loop may do itself, because it takes no time.

Whatever could wait is left to `Intake.to_stream` in a thread: to connect, to ask whether Redis
keeps what it is given, to try again after a failure.
"""

from collections.abc import Callable, Sequence

import redis

from db.queue.loop_stream import LoopStream
from domain.events import Delivery
from ingest.intake.intake import Intake, Store


class LoopIntake:
    """Stores deliveries of one event loop in the stream, one packet at a time."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._stream = LoopStream(intake.stream)

    def before_close(self, tell: Callable[[], None]) -> None:
        """Have `tell` called on the loop when the file is about to be closed."""
        self._stream.before_close(tell)

    def descriptor(self) -> int | None:
        """The file to watch for answers; None where to send could take time now."""
        return self._stream.descriptor() if self._intake.may_begin() else None

    def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Send the deliveries; only right after `descriptor`."""
        self._stream.begin(deliveries)

    def outcomes(self) -> list[Store | None] | None:
        """Where each is stored, None for what belongs into the inbox; None while it is not known.

        To be asked when the watched file can be read, and after `give_up`.
        """
        appended = self._stream.outcome()
        return None if appended is None else self._intake.conclude(appended)

    def is_late(self) -> bool:
        """Whether the answer takes too long."""
        return self._stream.is_late()

    def give_up(self) -> None:
        """Wait no longer for the answer."""
        self._stream.give_up()

    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._stream.is_open()

    def open(self) -> None:
        """Connect, where there is no connection, for the next packet; may wait: in a thread."""
        try:
            self._stream.open()
        except (redis.RedisError, OSError):
            return  # The thread that stores goes on without, and this is called again.

    def close(self) -> None:
        """End the connection."""
        self._stream.close()
