"""The newest timeline of each database cluster that any process of ours has seen.

A promotion begins a new timeline. So a server that takes writes on an older one was a primary
before: what it takes is lost when it is found out. The newest is kept in Redis for all processes
and in each of them, and whoever cannot ask Redis goes by what it has seen itself.
"""

import time
from collections.abc import Callable

import redis

KEY = "billing:timelines"
# What another process has seen is known here no later than this.
LOOK_EVERY_SECONDS = 5.0


class Timelines:
    """The newest timeline by system identifier; threads share one."""

    def __init__(
        self, client: redis.Redis | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._clock = clock
        self._newest: dict[int, int] = {}
        self._looked_at: dict[int, float] = {}

    def newest(self, system: int) -> int:
        """The newest timeline of this cluster; 0 when nobody has seen any."""
        if self._clock() - self._looked_at.get(system, float("-inf")) >= LOOK_EVERY_SECONDS:
            self._exchange(system)
        return self._newest.get(system, 0)

    def saw(self, system: int, timeline: int) -> None:
        """Note what a server says of itself, and tell the others if it is news."""
        if timeline > self.newest(system):
            self._newest[system] = timeline
            self._exchange(system)

    def _exchange(self, system: int) -> None:
        """Tell Redis what is known here, and learn what others know."""
        # Noted first: a Redis that is away is waited for by one, and not soon again.
        self._looked_at[system] = self._clock()
        if self._client is None:
            return
        own = self._newest.get(system, 0)
        pipeline = self._client.pipeline(transaction=False)
        if own:
            pipeline.zadd(KEY, {str(system): own}, gt=True)
        pipeline.zscore(KEY, str(system))
        try:
            told = int(pipeline.execute()[-1] or 0)
        except (redis.RedisError, OSError):
            return
        self._newest[system] = max(told, self._newest.get(system, 0))
