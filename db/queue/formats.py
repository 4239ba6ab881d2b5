"""Which formats the live workers read, so that nothing is written that one of them cannot read.

Releases run side by side while one takes the place of another. Each worker announces in Redis what
it reads, again and again; an announcement runs out by itself. Whoever writes asks now and then and
writes what every live worker reads. Where none lives, what the last ones read still counts. Where
nobody ever announced anything, or Redis has long not answered, the oldest dictionary does, which
every release since 0.2.0 reads. So a Redis that comes back empty costs bytes and nothing else.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, cast

import orjson
import redis

import telemetry
from db import bodies
from db.queue import stream

KEY = "billing:readers"
_LAST = "billing:readers:last"
ANNOUNCE_EVERY_SECONDS = 5.0
# A worker that is stopped for longer has other troubles; what it cannot read then is left for
# another.
EXPIRES_SECONDS = 60
ASK_EVERY_SECONDS = 5.0
# What ran out is looked at no more, and deleted so much later that its worker cannot be back.
_FORGOTTEN_SECONDS = 3_600

log = telemetry.get_logger("formats")


class Readers:
    """The announcements of the workers, on one Redis client."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def announce(self, name: str, dictionary: int = bodies.NEWEST) -> None:
        """Say that the worker of this name lives, and the newest dictionary that it reads."""
        # By Redis' clock, because machines differ.
        until = self._now() + EXPIRES_SECONDS
        said = orjson.dumps({"until": until, "dictionary": dictionary})
        self._client.hset(KEY, name, said)
        self.dictionary()

    def withdraw(self, name: str) -> None:
        """Say that this worker reads nothing any more."""
        self.dictionary()
        self._client.hdel(KEY, name)

    def dictionary(self) -> int | None:
        """The newest dictionary that every live worker reads, else every one that lived last.

        None where nobody ever announced one. Raises `redis.RedisError` when Redis cannot be asked.
        """
        live = self.live()
        if not live:
            last = cast("bytes | None", self._client.get(_LAST))
            return None if last is None else int(last)
        agreed = min(live.values())
        self._client.set(_LAST, agreed)
        return agreed

    def live(self) -> dict[str, int]:
        """The newest dictionary of each live worker, by the worker's name."""
        now = self._now()
        announced = cast("dict[bytes, bytes]", self._client.hgetall(KEY))
        live, forgotten = {}, []
        for name, said in announced.items():
            announcement = orjson.loads(said)
            if announcement["until"] >= now:
                live[name.decode()] = int(announcement["dictionary"])
            elif announcement["until"] < now - _FORGOTTEN_SECONDS:
                forgotten.append(name)
        if forgotten:
            self._client.hdel(KEY, *forgotten)
        return live

    def _now(self) -> int:
        return int(cast("Any", self._client.time())[0])


class Follower:
    """Keeps this process writing what every live worker reads, and nothing newer than a limit."""

    def __init__(
        self, readers: Readers, limit: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`limit` is the setting BODY_DICTIONARY."""
        self._readers = readers
        self._limit = limit
        self._clock = clock
        self._answered_at = float("-inf")
        self._number: int | None = None

    def ask(self) -> None:
        """Ask once, and write accordingly from now on."""
        try:
            agreed = self._readers.dictionary()
            self._answered_at = self._clock()
        except (redis.RedisError, OSError):
            # Who is there meanwhile cannot announce anything.
            if self._clock() - self._answered_at < EXPIRES_SECONDS:
                return
            agreed = None
        number = bodies.write_with(min(self._limit, bodies.OLDEST if agreed is None else agreed))
        if number != self._number:
            log.info("bodies are written with another dictionary", dictionary=number)
            self._number = number


def follow(redis_url: str, limit: int) -> None:
    """Ask from a thread that ends with the process; call it after the fork."""
    bodies.write_with(min(limit, bodies.OLDEST))
    follower = Follower(Readers(stream.connect(redis_url)), limit)

    def run() -> None:
        while True:
            follower.ask()
            time.sleep(ASK_EVERY_SECONDS)

    threading.Thread(target=run, name="formats", daemon=True).start()


def ask_once(redis_url: str, limit: int) -> None:
    """The same for a command, which is over soon."""
    with closing(stream.connect(redis_url)) as client:
        Follower(Readers(client), limit).ask()
