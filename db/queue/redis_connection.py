"""Connections to Redis of their own, for what every webhook waits for.

They send commands that are packed already and read their answers, and skip what a pool, a
pipeline and a general encoder cost (docs/decisions/0013). Reconnecting, timeouts and the meaning
of errors stay the client's. `RedisLine` waits for answers; `LoopLine` is for an event loop, which
may not.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import redis
from redis.connection import ConnectionInterface

# A connection that was used so lately is not looked at before it is used again: should its server
# have been restarted since, the question fails and is answered elsewhere.
FRESH_SECONDS = 0.5


class RedisLine:
    """One connection for each thread that asks; they live as long as their threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._own = _Own()

    def ask(self, *commands: bytes) -> list[Any]:
        """Send packed commands in one packet; returns their answers, in order.

        A command that Redis refuses has the refusal, a `redis.ResponseError`, for its answer. Where
        the connection fails on the way, every command whose answer did not come has that failure
        for its answer, a `redis.RedisError` or an OSError: Redis may have run it or not.
        """
        answers: list[Any] = []
        try:
            connection = self._connection()
            packet = [b"".join(commands)]
            connection.send_packed_command(packet, check_health=False)  # type: ignore[no-untyped-call]  # The client types half.
            for _ in commands:
                answers.append(_answer(connection))
        except (redis.RedisError, OSError) as failure:
            self._abandon()
            answers += [failure] * (len(commands) - len(answers))
        except BaseException:
            self._abandon()
            raise
        else:
            self._own.used_at = time.monotonic()
            if any(isinstance(answer, redis.ReadOnlyError) for answer in answers):
                # It was the primary and is one no more: the same address may lead to another now.
                self._abandon()
        return answers

    def _abandon(self) -> None:
        """Close the connection: an answer left unread would be taken for the next question's."""
        if self._own.connection is not None:
            self._own.connection.disconnect()  # type: ignore[no-untyped-call]  # As above.

    def _connection(self) -> ConnectionInterface:
        connection = self._own.connection
        if connection is None:
            connection = self._own.connection = _new_connection(self._client)
        elif time.monotonic() - self._own.used_at > FRESH_SECONDS and _is_stale(connection):
            connection.disconnect()  # type: ignore[no-untyped-call]  # As above.
        return connection


class LoopLine:
    """One connection of one event loop: packets go out, and answers are taken when they are there.

    One packet at a time. Only `open` waits, so it is called in another thread; the loop calls the
    rest.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._connection: ConnectionInterface | None = None
        self._answer_seconds_max = client.connection_pool.connection_kwargs["socket_timeout"]
        self._used_at = 0.0
        self._wanted = 0
        self._answers: list[Any] = []
        self.before_close: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Connect where there is no connection; raises `redis.RedisError` or OSError."""
        if self._connection is None:
            connection = _new_connection(self._client)
            connection.connect()  # type: ignore[no-untyped-call]  # The client types half.
            self._used_at = time.monotonic()
            # Whole before the loop sees it.
            self._connection = connection

    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def descriptor(self) -> int | None:
        """The file to watch for answers; None while there is no connection that can be used."""
        connection = self._connection
        if connection is None:
            return None
        if time.monotonic() - self._used_at > FRESH_SECONDS and _is_stale(connection):
            self.close()
            return None
        # The client keeps its socket to itself; hence its upper bound in pyproject.toml.
        return int(cast("Any", connection)._sock.fileno())  # noqa: SLF001

    def send(self, *commands: bytes) -> None:
        """Send packed commands in one packet; how it fared is what `answers` says."""
        self._wanted, self._answers = len(commands), []
        self._used_at = time.monotonic()
        try:
            packet = [b"".join(commands)]
            cast("Any", self._connection).send_packed_command(packet, check_health=False)
        except (redis.RedisError, OSError) as failure:
            self.give_up(failure)

    def answers(self) -> list[Any] | None:
        """The answers as `RedisLine.ask` returns them, once all are there; does not wait."""
        try:
            while len(self._answers) < self._wanted:
                self._answers.append(
                    _answer(self._connection, timeout=0, disconnect_on_error=False)
                )
                self._used_at = time.monotonic()
        except redis.TimeoutError:
            return None  # The rest is still on its way.
        except (redis.RedisError, OSError) as failure:
            self.give_up(failure)
        if any(isinstance(answer, redis.ReadOnlyError) for answer in self._answers):
            # It was the primary and is one no more: the same address may lead to another now.
            self.close()
        return self._answers

    def end_late(self) -> bool:
        """Give up where the next answer takes longer than the client would wait for it."""
        waits = len(self._answers) < self._wanted
        is_late = waits and time.monotonic() - self._used_at > self._answer_seconds_max
        if is_late:
            self.give_up(redis.TimeoutError("Redis did not answer in time"))
        return is_late

    def give_up(self, failure: Exception) -> None:
        """Wait no longer: each answer that did not come is this failure."""
        self.close()
        self._answers += [failure] * (self._wanted - len(self._answers))

    def close(self) -> None:
        """Close the connection: an answer left unread would be taken for the next question's."""
        connection = self._connection
        if connection is not None:
            # Before another thread may open one, whose file may have the same number.
            self.before_close()
            self._connection = None
            connection.disconnect()  # type: ignore[no-untyped-call]  # As above.


def _new_connection(client: redis.Redis) -> ConnectionInterface:
    """A connection as the client's pool makes them.

    Not made by the pool, which counts what it makes and would never hear of a thread's end:
    servers end idle threads and begin others, until the pool would make no more.
    """
    pool = client.connection_pool
    connection: ConnectionInterface = pool.connection_class(**pool.connection_kwargs)
    return connection


class _Own(threading.local):
    """A thread's connection, and when it was used last (monotonic)."""

    connection: ConnectionInterface | None = None
    used_at: float = 0.0


def _answer(connection: Any, **how: Any) -> Any:  # noqa: ANN401 - half typed; whatever Redis says.
    try:
        return connection.read_response(**how)
    except redis.ResponseError as refusal:
        return refusal


def _is_stale(connection: ConnectionInterface) -> bool:
    """Whether the other end is gone: a server that was restarted left a closed socket."""
    try:
        return connection.can_read()
    except (redis.ConnectionError, redis.TimeoutError, OSError):
        return True


def packed(*words: bytes) -> bytes:
    """A command in Redis' wire format (RESP): an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)
