"""Asks Stripe within the time that a request has, however many questions that takes.

The client's own timeouts bound one silence; an answer that drips in, or several slow questions
one after the other, would outlast them. An answer that comes too late is not waited for.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stripe_gateway import StripeSilent

T = TypeVar("T")

# Of one process: more than its requests can ask at once, so that some stuck ones stop no others.
QUESTIONS_MAX = 16

# Threads begin with the first question, so after the fork; their connections are kept.
_pool = ThreadPoolExecutor(QUESTIONS_MAX, thread_name_prefix="asks-stripe")


class Deadline:
    """The time that one request has, from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def remaining_seconds(self) -> float:
        """What is left, never below zero."""
        return max(0.0, self._end - time.monotonic())

    def ask(self, question: Callable[[], T]) -> T:
        """What Stripe answers; raises `StripeUnavailable`, as `StripeSilent` when time is up."""
        future = _pool.submit(question)
        try:
            return future.result(self.remaining_seconds)
        except TimeoutError as error:
            future.cancel()
            raise StripeSilent from error
