"""A circuit breaker: after a failure, leaves a store alone for a while instead of waiting for it.

It knows nothing of what it guards. Threads may share one.
"""

import threading
import time
from collections.abc import Callable

PAUSE_SECONDS_MIN = 1.0
PAUSE_SECONDS_MAX = 5.0


class Breaker:
    """Open (do not try) for 1 s after the first failure, doubling up to 5 s while it fails."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pause_seconds = 0.0
        self._closed_at = 0.0

    def allows(self) -> bool:
        """Whether to try now.

        When a pause ends, the thread that asks first tries alone; the others go on waiting.
        """
        if not self._pause_seconds:
            return True
        with self._lock:
            now = self._clock()
            if now < self._closed_at:
                return False
            self._closed_at = now + self._pause_seconds
            return True

    def failed(self) -> bool:
        """Note a failure; True when it is the first since the last success."""
        with self._lock:
            first = not self._pause_seconds
            self._pause_seconds = min(
                max(PAUSE_SECONDS_MIN, 2 * self._pause_seconds), PAUSE_SECONDS_MAX
            )
            self._closed_at = self._clock() + self._pause_seconds
            return first

    def succeeded(self) -> bool:
        """Note a success; True when it is the first since a failure."""
        if not self._pause_seconds:
            return False
        with self._lock:
            recovered = bool(self._pause_seconds)
            self._pause_seconds = 0.0
            return recovered
