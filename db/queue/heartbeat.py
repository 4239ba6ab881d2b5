"""When the last sweep ran, kept in Redis: the sign that scheduler, broker and workers all live."""

import contextlib
import time

import redis

KEY = "billing:heartbeat"


class Heartbeat:
    """The time of the last sweep, on one Redis client."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def beat(self) -> None:
        """Note that a sweep runs now. Without Redis nothing is noted, and nobody is held up."""
        with contextlib.suppress(redis.RedisError):
            self._client.set(KEY, int(time.time()))

    def last(self) -> int | None:
        """When the last sweep ran, in seconds since 1970; None when none ever did.

        Raises `redis.RedisError` when Redis cannot be asked.
        """
        seconds = self._client.get(KEY)
        return int(seconds) if isinstance(seconds, bytes) else None
