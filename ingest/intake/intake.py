"""Puts a verified event on durable storage: the stream, else the inbox; and wakes a worker.

When `accept` returns, the event is on disk. When neither store takes it, `NotStoredError` is raised
and nothing may be promised. What the event says is no concern of this module.
"""

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

import telemetry
from db.connections import copies
from db.connections.copies import CopiesMissingError
from db.queue import inbox
from db.queue.stream import EventStream
from domain.events import Delivery
from ingest.intake.circuit_breaker import Breaker
from ingest.intake.durability import DurabilityCheck

# Stripe is answered 503 when no store has confirmed by then.
ANSWER_SECONDS_MAX = 5.0
# Requests that are stored at the same time, where each has a thread of its own.
THREADS = 16
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
        copies: int = 0,
    ) -> None:
        """`send_wake_up` asks for a drain; it may fail, the sweep makes up for it.

        The inbox takes nothing that fewer than `copies` standbys would confirm.
        """
        self._stream = stream
        self._durability = durability
        self._engine = engine
        self._send_wake_up = send_wake_up
        self._breaker = breaker or Breaker()
        self._copies = copies
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")

    def accept(self, delivery: Delivery) -> Store:
        """Keep the delivery and say where.

        Raises `NotStoredError` when neither store can, or none has confirmed in time: a late
        store is harmless.
        """
        with_context = contextvars.copy_context().run
        stored = self._threads.submit(with_context, self.accept_each, [delivery])
        try:
            [outcome] = stored.result(ANSWER_SECONDS_MAX)
        except TimeoutError as error:
            stored.cancel()
            raise NotStoredError from error
        if outcome is None:
            raise NotStoredError
        return outcome

    def accept_each(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
        """Keep the deliveries; where each is stored, None for what neither store took.

        A delivery whose answer from Redis is lost goes to the inbox as well: it may then be in
        both, which workers take for a duplicate.
        """
        outcomes: list[Store | None] = [None] * len(deliveries)
        inbox_first = False
        if self._breaker.allows():
            inbox_first = not self._to_stream(deliveries, outcomes)
        left = [place for place, store in enumerate(outcomes) if store is None]
        if left:
            stored = self._to_inbox([deliveries[place] for place in left])
            for place, store in zip(left, stored, strict=True):
                outcomes[place] = store
            if inbox_first and any(stored):
                self._request_wake_up()
        return outcomes

    def _to_stream(self, deliveries: Sequence[Delivery], outcomes: list[Store | None]) -> bool:
        """Note in `outcomes` what the stream took; False where Redis is well and not durable."""
        try:
            if not self._durability.verdict().durable:
                return False
            appended = self._stream.put_each(deliveries)
        except _REDIS_REFUSES as error:
            self._redis_failed(error)
            return True
        for place, failed in enumerate(appended.errors):
            if failed is None:
                outcomes[place] = "stream"
        failure = next(filter(None, appended.errors), None)
        if failure is None:
            self._redis_answered()
        else:
            self._redis_failed(failure)
        if appended.must_wake:
            self._wake_a_worker()
        return True

    def _to_inbox(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
        # Stripe may repeat an event before the first delivery of it is answered.
        by_id = {delivery.event_id: delivery for delivery in deliveries}
        try:
            with self._engine.begin() as connection:
                copies.require(connection, self._copies)
                inbox.store(connection, list(by_id.values()), source="webhook")
        except CopiesMissingError as error:
            _log.error("inbox not used", why=str(error), events=len(by_id))
            return [None] * len(deliveries)
        except SQLAlchemyError as error:
            if len(by_id) > 1 and not _is_away(error):
                # What is wrong with one of them is not wrong with the others.
                return [self._to_inbox([delivery])[0] for delivery in deliveries]
            _log.error("inbox refused events", error=type(error).__name__, events=len(by_id))
            return [None] * len(deliveries)
        return ["inbox"] * len(deliveries)

    def _request_wake_up(self) -> None:
        """Wake a worker for what went to the inbox of a Redis that is well and not durable."""
        try:
            is_first = self._stream.request_wake_up()
        except _REDIS_REFUSES as error:
            self._redis_failed(error)
            return
        self._redis_answered()
        if is_first:
            self._wake_a_worker()

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


def _is_away(error: SQLAlchemyError) -> bool:
    """Whether it is the database that fails, and not what it was given."""
    if not isinstance(error, DBAPIError):
        return True
    return isinstance(error, OperationalError) or error.connection_invalidated
