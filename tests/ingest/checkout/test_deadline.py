"""Who waits for Stripe: within a deadline, and never so many that no webhook gets through."""

from contextlib import ExitStack

import pytest

from ingest.checkout.deadline import STUCK_AFTER_SECONDS, STUCK_MAX, Bulkhead
from stripe_gateway import StripeSilent


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_while_some_hang_others_may_wait() -> None:
    """A slow answer is no reason to refuse anybody, nor are many quick ones."""
    clock = Clock()
    bulkhead = Bulkhead(clock)
    with ExitStack() as stack:
        for _ in range(STUCK_MAX - 1):
            stack.enter_context(bulkhead.enter())
        clock.now = STUCK_AFTER_SECONDS + 1
        for _ in range(100):
            stack.enter_context(bulkhead.enter())


def test_when_many_hang_the_next_is_refused_at_once_until_one_is_done() -> None:
    """It would only take one more thread from the webhooks."""
    clock = Clock()
    bulkhead = Bulkhead(clock)
    with ExitStack() as rest, ExitStack() as first:
        first.enter_context(bulkhead.enter())
        for _ in range(STUCK_MAX - 1):
            rest.enter_context(bulkhead.enter())
        clock.now = STUCK_AFTER_SECONDS + 1
        with pytest.raises(StripeSilent), bulkhead.enter():
            pytest.fail("it may wait")
        first.close()
        with bulkhead.enter():
            pass


def test_who_ends_with_an_error_waits_no_longer() -> None:
    """Else a process would refuse everybody after some failures."""
    clock = Clock()
    bulkhead = Bulkhead(clock)
    for _ in range(STUCK_MAX):
        with pytest.raises(ValueError, match="odd"), bulkhead.enter():
            raise ValueError("odd")
    clock.now = STUCK_AFTER_SECONDS + 1
    with bulkhead.enter():
        pass
