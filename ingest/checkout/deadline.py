"""Asks Stripe within the time that a request has, however many questions that takes.

The client's own timeouts bound one silence; an answer that drips in, or several slow questions
one after the other, would outlast them. An answer that comes too late is not waited for. And while
Stripe hangs only some requests wait for it, because whoever waits keeps a thread from its webhooks.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from stripe_gateway import StripeSilent

T = TypeVar("T")

# Of one process: more than its requests can ask at once, so that some stuck ones stop no others.
QUESTIONS_MAX = 16
# Stripe nearly always answers in less. Who waits longer than this is stuck, and when so many are,
# half of the receiver's threads, nobody else is let wait.
STUCK_AFTER_SECONDS = 2.0
STUCK_MAX = 8

# Threads begin with the first question, so after the fork; their connections are kept.
_pool = ThreadPoolExecutor(QUESTIONS_MAX, thread_name_prefix="asks-stripe")


class Waiting:
    """Who waits for Stripe in this process, and since when; threads share one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[object, float] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for as long as the block runs; raises `StripeSilent` at once when too many hang."""
        me, now = object(), self._clock()
        with self._lock:
            stuck = sum(now - since > STUCK_AFTER_SECONDS for since in self._since.values())
            if stuck >= STUCK_MAX:
                raise StripeSilent
            self._since[me] = now
        try:
            yield
        finally:
            with self._lock:
                del self._since[me]


_waiting = Waiting()


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
        with _waiting.turn():
            future = _pool.submit(question)
            try:
                return future.result(self.remaining_seconds)
            except TimeoutError as error:
                future.cancel()
                raise StripeSilent from error
