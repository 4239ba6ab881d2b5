"""How long a call tries again: growing pauses with jitter, within a number of tries and a time."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from fiko_client.errors import RateLimited, ServiceAway

# A Retry-After is waited out, and then a little of this: many clients were told the same.
_SPREAD_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to try. A pause is between half of its length and the whole."""

    attempts: int = 5
    first_pause: float = 0.25
    longest_pause: float = 8.0
    total: float = 30.0


ONE_TRY = Patience(attempts=1)


class Attempts:
    """The tries of one call."""

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._end = clock() + patience.total
        self._made = 0

    def pause_after(self, error: ServiceAway | RateLimited) -> float | None:
        """How long to wait before the next try; None where there is to be none."""
        self._made += 1
        if self._made >= self._patience.attempts or not _may_pass(error):
            return None
        pause = self._pause() if error.retry_after is None else error.retry_after + _jitter()
        return None if self._clock() + pause > self._end else pause

    def _pause(self) -> float:
        grown = self._patience.first_pause * 2.0 ** (self._made - 1)
        return min(grown, self._patience.longest_pause) * random.uniform(0.5, 1.0)  # noqa: S311


def _may_pass(error: ServiceAway | RateLimited) -> bool:
    return isinstance(error, RateLimited) or error.passes


def _jitter() -> float:
    return random.uniform(0.0, _SPREAD_SECONDS)  # noqa: S311 - it spreads load, and guards nothing.
