"""Whether Redis keeps what it is given: what INTAKE=auto stands on.

Asks Redis for its settings now and then, never on every event, and believes nothing it is not
told: a Redis that will not say is taken for one that forgets.
"""

import threading
import time
from collections.abc import Callable
from typing import cast

import redis

import telemetry
from db.queue.durability import Verdict, ask

CHECK_EVERY_SECONDS = 30.0
# Where only replicas are missing: they come and go by themselves.
CHECK_PASSING_SECONDS = 2.0

_log = telemetry.get_logger("ingest.intake.intake.durability")


class DurabilityCheck:
    """The newest verdict on one Redis, asked for again when it is old or after `forget`."""

    def __init__(
        self,
        client: redis.Redis,
        intake: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        copies: int = 0,
    ) -> None:
        """`intake` is the setting: `auto` asks Redis, `stream` and `inbox` decide without.

        `copies` is how many live replicas Redis must have.
        """
        self._client = client
        self._copies = copies
        self._clock = clock
        self._lock = threading.Lock()
        self._forced = _forced(intake)
        self._last: Verdict | None = None
        self._checked_at = float("-inf")

    def verdict(self) -> Verdict:
        """What holds now. Raises `redis.RedisError` or OSError when Redis cannot be asked."""
        if self._forced:
            return self._forced
        last = self._last
        if last and self._is_fresh(last):
            return last
        with self._lock:
            if self._last is last:
                self._learn(ask(self._client, copies=self._copies))
            return cast("Verdict", self._last)

    def is_known_durable(self) -> bool:
        """Whether `verdict` would say durable without asking."""
        verdict = self._forced or self._last
        if verdict is None or not verdict.durable:
            return False
        return verdict is self._forced or self._is_fresh(verdict)

    def forget(self) -> None:
        """Ask again before the next use: after an error Redis may be another than before."""
        self._checked_at = float("-inf")

    def _is_fresh(self, verdict: Verdict) -> bool:
        return self._clock() - self._checked_at < _good_for_seconds(verdict)

    def _learn(self, verdict: Verdict) -> None:
        if verdict != self._last:
            first = "stream" if verdict.durable else "inbox"
            _log.info("intake decided", first=first, why=verdict.why)
        # A new object each time tells waiting threads that the question has been answered.
        self._last = verdict
        self._checked_at = self._clock()


def _good_for_seconds(verdict: Verdict) -> float:
    return CHECK_PASSING_SECONDS if verdict.passes else CHECK_EVERY_SECONDS


def _forced(intake: str) -> Verdict | None:
    if intake == "auto":
        return None
    return Verdict(durable=intake == "stream", why=f"INTAKE={intake}")
