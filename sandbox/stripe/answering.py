"""How the API answers, as somebody has set it: at once, late, not at all, or with errors.

For the calls of the API only, never for the pages. It holds for a time or until it is set anew,
by the wall clock, and no longer than the process lives.
"""

import threading
import time
from dataclasses import replace
from http import HTTPStatus

from sandbox.stripe.errors import Refusal
from sandbox.stripe.views import Answering

# Nobody waits longer than this for an answer.
HANG_SECONDS_MAX = 600.0


class Gate:
    """What every call of the API passes first; threads may share it."""

    def __init__(self) -> None:
        self._now = Answering()
        self._changed = threading.Condition()

    @property
    def answering(self) -> Answering:
        """How calls are answered now."""
        with self._changed:
            return self._current()

    def become(self, answering: Answering) -> None:
        """Answer otherwise from now on; calls that hang go on at once, as they are then told."""
        with self._changed:
            self._now = answering
            self._changed.notify_all()

    def enter(self) -> None:
        """Wait as long as is set; raises `Refusal` where an error is to be answered.

        A call that hung is carried out once that ends, though nobody may wait for it any more.
        """
        with self._changed:
            start = time.time()
            while (answering := self._current()).kind in {"hang", "slow"}:
                wait_seconds = (
                    answering.slow_seconds if answering.kind == "slow" else HANG_SECONDS_MAX
                )
                left = start + wait_seconds - time.time()
                if left <= 0:
                    return
                until = answering.until - time.time() if answering.until else left
                self._changed.wait(max(0.0, min(left, until)))
        if answering.kind == "errors":
            raise _refusal(answering)

    def _current(self) -> Answering:
        if self._now.until and self._now.until <= time.time():
            self._now = replace(self._now, kind="normal", until=0.0)
        return self._now


def _refusal(answering: Answering) -> Refusal:
    status = HTTPStatus(answering.status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = "Request rate limit exceeded. You can learn more about rate limits in the docs."
        return Refusal(
            status, message, "rate_limit", retry_after_seconds=answering.retry_after_seconds
        )
    message = (
        "An error occurred with our connection to Stripe, as the offline Stripe was told to say."
    )
    return Refusal(status, message, kind="api_error")
