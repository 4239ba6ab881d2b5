"""A thread's own connection to Redis, for what every webhook waits for.

It sends commands that are packed already and reads their answers, and skips what a pool, a
pipeline and a general encoder cost (docs/decisions/0013). Reconnecting, timeouts and the meaning
of errors stay the client's.
"""

import threading
from typing import Any

import redis
from redis.connection import ConnectionInterface


class RedisLine:
    """One connection for each thread that asks; they live as long as their threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._own = threading.local()

    def ask(self, *commands: bytes) -> list[Any]:
        """Send packed commands in one packet; returns their answers, in order.

        Raises what the client raises: `redis.RedisError`, also for the first refusal.
        """
        connection = self._connection()
        try:
            packet = [b"".join(commands)]
            connection.send_packed_command(packet, check_health=False)  # type: ignore[no-untyped-call]  # The client types half.
            return [connection.read_response() for _ in commands]
        except BaseException:
            # An answer that was left unread would be taken for that of the next question.
            connection.disconnect()  # type: ignore[no-untyped-call]  # As above.
            raise

    def _connection(self) -> ConnectionInterface:
        connection: ConnectionInterface | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._pool.make_connection()
            return connection
        # A server that was restarted since left a closed socket, which shows before it is used.
        try:
            is_stale = connection.can_read()
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            is_stale = True
        if is_stale:
            connection.disconnect()  # type: ignore[no-untyped-call]  # As above.
        return connection


def packed(*words: bytes) -> bytes:
    """A command in Redis' wire format (RESP): an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)
