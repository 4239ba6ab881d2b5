"""Retries with growing pauses: the one place that says how long to wait after a failure.

Standard library only. Nothing here knows what failed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

A = TypeVar("A")

# Doubling more often than this reaches every longest pause, and numbers stay small.
_DOUBLINGS_MAX = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double, from the first one up to the longest."""

    first_seconds: float
    longest_seconds: float

    def pause_seconds(self, failures: int) -> float:
        """The pause after so many failures in a row."""
        doublings = min(max(failures - 1, 0), _DOUBLINGS_MAX)
        return min(self.first_seconds * 2.0**doublings, self.longest_seconds)

    def pause_after(self, failing_seconds: float) -> float:
        """The pause after failing for so long: as long again, however many tries that were."""
        return min(max(self.first_seconds, failing_seconds), self.longest_seconds)


def scheduled_pause(failures: int, pauses_seconds: Sequence[float]) -> float | None:
    """The pause after so many failures, where each pause is listed; None after the last one."""
    return pauses_seconds[failures - 1] if failures <= len(pauses_seconds) else None


def with_retries(
    attempt: Callable[[], A], pause_seconds: Callable[[Exception, int], float | None]
) -> A:
    """What `attempt` returns; it is run again after each failure that a pause is given for.

    `pause_seconds` is asked with the error and the number of failures so far. Where it gives None,
    the error is raised. Sleeps in this thread, so `attempt` must hold nothing that others wait for.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except Exception as error:
            failures += 1
            pause = pause_seconds(error, failures)
            if pause is None:
                raise
        time.sleep(pause)
