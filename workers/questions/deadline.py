"""Waits for an answer of Stripe no longer than one question may take.

The client's own timeouts bound one silence of one request; several requests, or an answer that
comes byte by byte, would outlast them.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from stripe_gateway import StripeSilent

A = TypeVar("A")

# So many threads may still wait for an answer that nobody wants any more; then none is started.
STUCK_MAX = 4

_stuck: set[threading.Thread] = set()


def within(seconds: float, question: Callable[[], A]) -> A:
    """What `question` returns or raises; raises `StripeSilent` when it takes longer.

    It runs in a thread of its own, so it must use nothing that this thread holds.
    """
    _stuck.difference_update([thread for thread in _stuck if not thread.is_alive()])
    if len(_stuck) >= STUCK_MAX:
        raise StripeSilent
    outcome: SimpleQueue[Callable[[], A]] = SimpleQueue()
    thread = threading.Thread(
        target=lambda: outcome.put(_outcome(question)), name="asks-stripe", daemon=True
    )
    thread.start()
    try:
        result = outcome.get(timeout=seconds)
    except Empty as error:
        _stuck.add(thread)
        raise StripeSilent from error
    return result()


def _outcome(question: Callable[[], A]) -> Callable[[], A]:
    try:
        result = question()
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for.
        reason = error

        def fail() -> A:
            raise reason

        return fail
    return lambda: result
