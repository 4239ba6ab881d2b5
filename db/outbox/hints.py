"""Hints in Redis that somebody was told something, so that who waits for it looks at once.

A hint may be lost and carries nothing but the user: the outbox is the truth, and everybody who
listens also looks by themselves every few seconds.
"""

import time
from collections.abc import Collection

import redis

CHANNEL = "billing:changes"
# After a failure nobody waits for Redis again for so long.
SILENT_SECONDS = 2.0


class Hints:
    """Publishes users who have new messages; where Redis does not answer, silently nothing."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._silent_until = 0.0

    def publish(self, user_ids: Collection[str]) -> None:
        """Hint at these users; call it after the commit."""
        if not user_ids or time.monotonic() < self._silent_until:
            return
        try:
            packet = self._client.pipeline(transaction=False)
            for user_id in user_ids:
                packet.publish(CHANNEL, user_id)
            packet.execute()
        except redis.RedisError:
            self._silent_until = time.monotonic() + SILENT_SECONDS
