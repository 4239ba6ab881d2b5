"""Listens to Redis for the users whose outbox has something new, in a thread of its own.

A hint may be lost: nobody but the outbox is believed. While Redis is away the hub is told so.
"""

import asyncio
import threading
from collections.abc import Callable

import redis

import telemetry
from ingest.stream.hub import Hub

LISTEN_SECONDS = 1.0
PAUSE_SECONDS = 1.0
_log = telemetry.get_logger("ingest.stream.change_watch")


class ChangeWatch:
    """Calls back on an event loop for every hint on a channel."""

    def __init__(self, client: redis.Redis, channel: str, hub: Hub) -> None:
        """`hub` is told of users, and of whether Redis can be listened to."""
        self._client = client
        self._channel = channel
        self._hub = hub
        self._stopped = threading.Event()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen."""
        threading.Thread(
            target=self._listen_on, args=(loop,), name="change-watch", daemon=True
        ).start()

    def stop(self) -> None:
        """Listen no more."""
        self._stopped.set()

    def _listen_on(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopped.is_set():
            try:
                self._listen(loop)
            except (redis.RedisError, OSError) as error:
                # Whoever stops us may have taken Redis away first, and the log after it.
                if self._stopped.is_set() or not _call(loop, self._hub.hints_fail):
                    return
                _log.info("redis cannot be listened to", error=type(error).__name__)
                self._stopped.wait(PAUSE_SECONDS)
            except RuntimeError:
                return  # The loop is closed.

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._client.pubsub() as hints:  # type: ignore[no-untyped-call]  # The client types half.
            hints.subscribe(self._channel)
            while not self._stopped.is_set():
                hint = hints.get_message(timeout=LISTEN_SECONDS)
                if hint is None:
                    hints.ping()
                elif hint["type"] == "subscribe":
                    _call(loop, self._hub.hints_come)
                elif hint["type"] == "message":
                    _call(loop, self._hub.has_news, hint["data"].decode(errors="replace"))


def _call(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *arguments: object) -> bool:
    """Call this on the loop; False when the loop is closed."""
    try:
        loop.call_soon_threadsafe(what, *arguments)
    except RuntimeError:
        return False
    return True
