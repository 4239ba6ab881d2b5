"""Asks Stripe again, after a while, when it says that it is asked too often."""

import time
from collections.abc import Callable
from typing import TypeVar

from stripe_gateway import StripeBusy

A = TypeVar("A")

# How often a person's command asks again, and how long it waits at most.
BUSY_TRIES = 6
BUSY_WAIT_SECONDS_MAX = 30.0


def patiently(ask: Callable[[], A]) -> A:
    """The answer of `ask`; raises what it raises, `StripeBusy` only after several tries.

    `ask` must be one that may be asked twice.
    """
    for tries in range(BUSY_TRIES):
        try:
            return ask()
        except StripeBusy as busy:
            wanted = 2.0**tries if busy.wait_seconds is None else float(busy.wait_seconds)
            time.sleep(min(wanted, BUSY_WAIT_SECONDS_MAX))
    return ask()
