"""Bounds how long a request waits for Stripe, and how many requests wait at once.

A deadline covers all the calls that one request makes. The client's own timeouts do not: they bound
one silence, and an answer that drips in, or several slow calls, outlast them. A bulkhead bounds how
many requests wait while Stripe hangs, because each of them keeps a thread from the webhooks.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from stripe_gateway import StripeSilent

T = TypeVar("T")

# For one process: more calls than its requests make at once, so that stuck calls block no others.
CALLS_MAX = 16
# Stripe nearly always answers in less time. A request that waits longer is stuck. When half of the
# receiver's threads are stuck, no further request may wait.
STUCK_AFTER_SECONDS = 2.0
STUCK_MAX = 8

# The pool starts its threads with the first call, so after the fork; they keep their connections.
_pool = ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="asks-stripe")


class Bulkhead:
    """The requests of this process that wait for Stripe, and since when; threads share one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[object, float] = {}

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Wait for Stripe within the block; raises `StripeSilent` when too many requests hang."""
        waiter, now = object(), self._clock()
        with self._lock:
            stuck = sum(now - since > STUCK_AFTER_SECONDS for since in self._since.values())
            if stuck >= STUCK_MAX:
                raise StripeSilent
            self._since[waiter] = now
        try:
            yield
        finally:
            with self._lock:
                del self._since[waiter]


_bulkhead = Bulkhead()


class Deadline:
    """The time that one request has, from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def remaining_seconds(self) -> float:
        """What is left, never below zero."""
        return max(0.0, self._end - time.monotonic())

    def ask(self, call: Callable[[], T]) -> T:
        """What Stripe answers; raises `StripeUnavailable`, as `StripeSilent` when time is up."""
        with _bulkhead.enter():
            future = _pool.submit(call)
            try:
                return future.result(self.remaining_seconds)
            except TimeoutError as error:
                future.cancel()
                raise StripeSilent from error
