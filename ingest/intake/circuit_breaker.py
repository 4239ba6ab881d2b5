"""A circuit breaker: after a failure, leaves a store alone for a while instead of waiting for it.

It knows nothing of what it guards. Threads may share one.
"""

import threading
import time
from collections.abc import Callable

from retry import Backoff

BACKOFF = Backoff(first_seconds=1.0, longest_seconds=5.0)


class Breaker:
    """Open (do not try) for 1 s after the first failure, doubling up to 5 s while it fails."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_at = 0.0

    def allows(self) -> bool:
        """Whether to try now.

        When a pause ends, the thread that asks first tries alone; the others go on waiting.
        """
        if not self._failures:
            return True
        with self._lock:
            now = self._clock()
            if now < self._closed_at:
                return False
            self._closed_at = now + BACKOFF.pause_seconds(self._failures)
            return True

    def is_closed(self) -> bool:
        """Whether all is well: the last try succeeded, or there was none."""
        return not self._failures

    def failed(self) -> bool:
        """Note a failure; True when it is the first since the last success."""
        with self._lock:
            self._failures += 1
            self._closed_at = self._clock() + BACKOFF.pause_seconds(self._failures)
            return self._failures == 1

    def succeeded(self) -> bool:
        """Note a success; True when it is the first since a failure."""
        if not self._failures:
            return False
        with self._lock:
            recovered = bool(self._failures)
            self._failures = 0
            return recovered
