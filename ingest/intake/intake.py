"""Puts a verified event on durable storage: the stream, else the inbox; and wakes a worker.

When `accept` returns, the event is on disk. When neither store takes it, `NotStoredError` is raised
and nothing may be promised. What the event says is no concern of this module.
"""

from collections.abc import Callable
from typing import Literal

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

import telemetry
from db.queue import inbox
from db.queue.stream import EventStream
from domain.events import Delivery
from ingest.intake.circuit_breaker import Breaker
from ingest.intake.durability import DurabilityCheck

# The two durable stores, by the names that the log and the metrics use.
Store = Literal["stream", "inbox"]

# What a Redis that is away, slow, full or misconfigured makes its client raise.
_REDIS_REFUSES = (redis.RedisError, OSError)
_log = telemetry.get_logger("ingest.intake.intake")


class NotStoredError(Exception):
    """No durable store took the event: the sender must be told to try again."""


class Intake:
    """Accepts deliveries; threads share one, processes do not."""

    def __init__(
        self,
        *,
        stream: EventStream,
        durability: DurabilityCheck,
        engine: Engine,
        send_wake_up: Callable[[], object],
        breaker: Breaker | None = None,
    ) -> None:
        """`send_wake_up` asks for a drain; it may fail, the sweep makes up for it."""
        self._stream = stream
        self._durability = durability
        self._engine = engine
        self._send_wake_up = send_wake_up
        self._breaker = breaker or Breaker()

    def accept(self, delivery: Delivery) -> Store:
        """Keep the delivery and say where; raises `NotStoredError` when neither store can."""
        stored = self._with_redis(delivery) if self._breaker.allows() else None
        return stored or self._to_inbox(delivery)

    def _with_redis(self, delivery: Delivery) -> Store | None:
        """Where the delivery is stored; None when Redis failed before that."""
        stored: Store | None = None
        try:
            if self._durability.verdict().durable:
                is_first = self._stream.put(delivery)
                stored = "stream"
            else:
                stored = self._to_inbox(delivery)
                is_first = self._stream.request_wake_up()
        except _REDIS_REFUSES as error:
            self._redis_failed(error)
            return stored
        self._redis_answered()
        if is_first:
            self._wake_a_worker()
        return stored

    def _to_inbox(self, delivery: Delivery) -> Store:
        try:
            with self._engine.begin() as connection:
                inbox.store(connection, [delivery], source="webhook")
        except SQLAlchemyError as error:
            _log.error("inbox refused an event", error=type(error).__name__)
            raise NotStoredError from error
        return "inbox"

    def _wake_a_worker(self) -> None:
        try:
            self._send_wake_up()
        except Exception as error:  # noqa: BLE001 - the event is stored and brokers fail in many ways; the sweep finds it.
            _log.warning("wake-up not sent", error=type(error).__name__)

    def _redis_failed(self, error: Exception) -> None:
        self._durability.forget()
        if self._breaker.failed():
            _log.warning("redis refused, the inbox takes over", error=type(error).__name__)

    def _redis_answered(self) -> None:
        if self._breaker.succeeded():
            _log.info("redis answers again")
