"""How many servers must have a packet before it counts as stored: one, or that many replicas too.

Redis copies to its replicas after it has answered, so what one server has confirmed goes with that
server. A packet may end with a question: WAIT is answered once enough replicas have the packet, or
when the time is over. WAITAOF behind it asks whether they have it on disk.
"""

from collections.abc import Sequence
from typing import Any

import redis

from db.queue.redis_connection import packed

# A replica that is well answers within a few milliseconds.
WAIT_MS = 200
# Redis looks at the clock ten times a second, so either question may take so much longer.
_LATE_MS = 100
# A packet that waits for copies so long is helped on. Once a second a replica tells by itself how
# far it is; what it tells next then waits in its TCP stack for the primary's acknowledgement, which
# comes 40 ms later or with the next bytes that the primary sends (Nagle, delayed acknowledgement).
NUDGE_SECONDS = 0.003
# What the primary sends its replicas then: a message that it keeps nowhere and nobody listens to.
NUDGE_CHANNEL = "copies"
# How much longer than other packets one that waits for copies may take.
WAIT_SECONDS_MAX = (WAIT_MS + _LATE_MS) / 1000


class TooFewCopiesError(redis.RedisError):
    """The primary has the packet; too few replicas have confirmed it in time."""


class Copies:
    """Asks for this many copies of each packet; threads share one."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        # Redis before 7.2 does not know WAITAOF; it says so once.
        self._asks_for_disk = True

    def questions(self) -> tuple[bytes, ...]:
        """What to send behind the writes of a packet; nothing where no copy is wanted."""
        if not self.wanted:
            return ()
        copies, time = b"%d" % self.wanted, b"%d" % WAIT_MS
        wait = packed(b"WAIT", copies, time)
        # Never alone: a replica confirms the offset that it had synced before, and would be asked
        # again only after a second. After WAIT it has synced this one.
        return (wait, packed(b"WAITAOF", b"1", copies, time)) if self._asks_for_disk else (wait,)

    def failure(self, answers: Sequence[Any]) -> redis.RedisError | OSError | None:
        """Why the packet has not the copies that it needs, by the answers; None where it has."""
        if not answers:
            return None
        has_it, *on_disk = answers
        if on_disk and _is_unknown(on_disk[0]):
            self._asks_for_disk = False
            on_disk = []
        return self._lacks(has_it) or (self._lacks(on_disk[0]) if on_disk else None)

    def _lacks(self, answer: Any) -> redis.RedisError | OSError | None:  # noqa: ANN401 - whatever Redis says.
        if isinstance(answer, (redis.RedisError, OSError)):
            return answer
        # WAITAOF says how many have it on disk: here (0 or 1), and of the replicas.
        here, replicas = answer if isinstance(answer, list) else (1, answer)
        if here and replicas >= self.wanted:
            return None
        return TooFewCopiesError(f"{replicas} of {self.wanted} replicas have confirmed in time")


def _is_unknown(answer: Any) -> bool:  # noqa: ANN401 - as above.
    return isinstance(answer, redis.ResponseError) and "unknown command" in str(answer).lower()
