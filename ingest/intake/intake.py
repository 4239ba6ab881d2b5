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
from db.queue.stream import Appended, EventStream
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
        self.stream = stream
        self._durability = durability
        self._engine = engine
        self._send_wake_up = send_wake_up
        self._breaker = breaker or Breaker()
        self._copies = copies
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")
        # Whether Redis is well and not durable: then it carries the wake-up alone.
        self._wakes_for_inbox = False

    def accept(self, delivery: Delivery) -> Store:
        """Keep the delivery and say where.

        Raises `NotStoredError` when neither store can, or none has confirmed in time: a late
        store is harmless.
        """
        with_context = contextvars.copy_context().run
        storing = self._threads.submit(with_context, self.accept_each, [delivery])
        try:
            [stored] = storing.result(ANSWER_SECONDS_MAX)
        except TimeoutError as error:
            storing.cancel()
            raise NotStoredError from error
        if stored is None:
            raise NotStoredError
        return stored

    def accept_each(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
        """Keep the deliveries; where each is stored, None for what neither store took."""
        outcomes = self.to_stream(deliveries)
        left = [place for place, store in enumerate(outcomes) if store is None]
        if left:
            stored = self.to_inbox([deliveries[place] for place in left])
            for place, store in zip(left, stored, strict=True):
                outcomes[place] = store
        return outcomes

    def to_stream(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
        """Put the deliveries into the stream; None for each that belongs into the inbox.

        That is all of them where Redis is left alone, or not durable, and each whose answer is
        lost: it may then be in both, which workers take for a duplicate.
        """
        if not self._breaker.allows():
            self._wakes_for_inbox = False
            return [None] * len(deliveries)
        try:
            durable = self._durability.verdict().durable
            self._wakes_for_inbox = not durable
            if not durable:
                return [None] * len(deliveries)
            appended = self.stream.put_each(deliveries)
        except _REDIS_REFUSES as error:
            self._redis_failed(error)
            return [None] * len(deliveries)
        return self.conclude(appended)

    def may_begin(self) -> bool:
        """Whether the stream takes deliveries now, as far as is known without asking or waiting."""
        return self._breaker.is_closed() and self._durability.is_known_durable()

    def conclude(self, appended: Appended) -> list[Store | None]:
        """Where each of these is stored, None for what belongs into the inbox; wakes a worker."""
        failure = next(filter(None, appended.errors), None)
        if failure is None:
            self._redis_answered()
        else:
            self._redis_failed(failure)
        if appended.must_wake:
            self._wake_a_worker()
        return ["stream" if error is None else None for error in appended.errors]

    def to_inbox(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
        """Store the deliveries in the inbox, together; None for each that it does not take."""
        stored = self._to_inbox(deliveries)
        if self._wakes_for_inbox and any(stored):
            self._request_wake_up()
        return stored

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
            is_first = self.stream.request_wake_up()
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
