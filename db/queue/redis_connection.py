"""A thread's own connection to Redis, for what every webhook waits for.

It sends commands that are packed already and reads their answers, and skips what a pool, a
pipeline and a general encoder cost (docs/decisions/0013). Reconnecting, timeouts and the meaning
of errors stay the client's.
"""

import threading
import time
from typing import Any

import redis
from redis.connection import ConnectionInterface

# A connection that was used so lately is not looked at before it is used again: should its server
# have been restarted since, the question fails and is answered elsewhere.
FRESH_SECONDS = 0.5


class RedisLine:
    """One connection for each thread that asks; they live as long as their threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
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
            # Not made by the pool, which counts what it makes and would never hear of a thread's
            # end: servers end idle threads and begin others, until the pool would make no more.
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
            self._own.connection = connection
        elif time.monotonic() - self._own.used_at > FRESH_SECONDS and _is_stale(connection):
            connection.disconnect()  # type: ignore[no-untyped-call]  # As above.
        return connection


class _Own(threading.local):
    """A thread's connection, and when it was used last (monotonic)."""

    connection: ConnectionInterface | None = None
    used_at: float = 0.0


def _answer(connection: ConnectionInterface) -> Any:  # noqa: ANN401 - whatever Redis says.
    try:
        return connection.read_response()
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
