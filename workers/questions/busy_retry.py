"""Asks Stripe again after a pause when Stripe answers that it is asked too often."""

from collections.abc import Callable
from typing import TypeVar

from retry import Backoff, with_retries
from stripe_gateway import StripeBusy

A = TypeVar("A")

# How often a command asks again, and how long it waits each time.
BUSY_RETRIES = 6
BACKOFF = Backoff(first_seconds=1.0, longest_seconds=30.0)


def retry_while_busy(ask: Callable[[], A]) -> A:
    """What `ask` returns or raises; it raises `StripeBusy` only after several retries.

    `ask` must be a question that may be asked twice.
    """
    return with_retries(ask, _pause_seconds)


def _pause_seconds(error: Exception, failures: int) -> float | None:
    if not isinstance(error, StripeBusy) or failures > BUSY_RETRIES:
        return None
    if error.wait_seconds is None:
        return BACKOFF.pause_seconds(failures)
    return min(float(error.wait_seconds), BACKOFF.longest_seconds)
