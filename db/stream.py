"""The Redis stream: where an accepted event waits, durably, for a worker.

A delivery is one stream entry; the bell (`armed`) says that a drain has been asked for and has
not begun yet, so a burst rings once. Nothing here knows what an event means.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from domain.events import Delivery

STREAM = "billing:events"
GROUP = "drain"
BELL = "billing:armed"
_PROBE = "billing:probe"
ENVELOPE_VERSION = b"1"

# A lost drain task is asked for again after this long, by the next delivery or the sweep.
BELL_TTL_SECONDS = 5
# What a consumer held this long without acknowledging is taken over: it must be dead. With the
# sweep that notices, a killed worker delays its events by 30 s at most.
LEASE_MS = 25_000
# A consumer that holds nothing and has not asked for this long will not come back: consumers are
# named after processes.
FORGET_AFTER_MS = 3_600_000
_TIDIED = "billing:tidied"
# One script, because a consumer that wakes up between question and deletion would lose entries.
_FORGET = """
local names = {}
for _, found in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local about = {}
    for place = 1, #found, 2 do about[found[place]] = found[place + 1] end
    if about.pending == 0 and about.idle >= tonumber(ARGV[2]) then
        table.insert(names, about.name)
    end
end
for _, name in ipairs(names) do redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name) end
return #names
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream entry as a worker reads it."""

    entry_id: bytes
    delivery: Delivery


def connect(redis_url: str, *, timeout_seconds: float = 0.5) -> redis.Redis:
    """A client that gives up after `timeout_seconds` and never retries by itself.

    redis-py 8 would wait 5 s and retry ten times, which a receiver must not.
    """
    return redis.Redis.from_url(
        redis_url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


class EventStream:
    """The stream and its bell, on one Redis client."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def put(self, delivery: Delivery) -> bool:
        """Append a delivery and arm the bell, in one round trip.

        Returns True when this call armed the bell, so the caller must ask for a drain. When it
        returns at all, Redis has taken the entry. Raises `redis.RedisError` otherwise.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.xadd(STREAM, _fields(delivery))
        pipeline.set(BELL, b"1", nx=True, ex=BELL_TTL_SECONDS)
        _, armed = pipeline.execute()
        return bool(armed)

    def arm(self) -> bool:
        """Arm the bell alone; True when it was not armed before."""
        return bool(self._client.set(BELL, b"1", nx=True, ex=BELL_TTL_SECONDS))

    def disarm(self) -> None:
        """Take the bell down: the next delivery rings again. Call before reading."""
        self._client.delete(BELL)

    def create_group(self) -> None:
        """Make the consumer group; a no-op when it exists."""
        try:
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.OutOfMemoryError:
            return  # It refuses before it looks whether the group exists; the read will tell.
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def read(self, consumer: str, count: int) -> list[Entry]:
        """Take up to `count` new entries for `consumer`; does not wait."""
        found = cast("Any", self._client.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=count))
        return _entries(found[0][1] if found else [])

    def claim_stale(self, consumer: str, count: int, lease_ms: int = LEASE_MS) -> list[Entry]:
        """Take over up to `count` entries that another consumer has held longer than the lease."""
        answer = self._client.xautoclaim(
            STREAM, GROUP, consumer, min_idle_time=lease_ms, start_id="0-0", count=count
        )
        return _entries(cast("Any", answer)[1])

    def times_delivered(self, entries: Sequence[Entry]) -> dict[bytes, int]:
        """How often each of these entries has been handed out, itself included."""
        if not entries:
            return {}
        ids = sorted((entry.entry_id for entry in entries), key=_entry_order)
        pending = cast(
            "list[dict[str, Any]]",
            self._client.xpending_range(STREAM, GROUP, ids[0], ids[-1], count=10_000),
        )
        return {row["message_id"]: row["times_delivered"] for row in pending}

    def acknowledge(self, entry_ids: Iterable[bytes]) -> None:
        """Drop entries whose effect is committed."""
        ids = list(entry_ids)
        if ids:
            pipeline = self._client.pipeline(transaction=False)
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            pipeline.execute()

    def forget_dead_consumers(self, idle_ms: int = FORGET_AFTER_MS) -> int:
        """Delete consumers that hold nothing and are long gone, once an hour; returns how many."""
        if not self._client.set(_TIDIED, b"1", nx=True, px=FORGET_AFTER_MS):
            return 0
        self.create_group()
        return int(cast("Any", self._client.eval(_FORGET, 1, STREAM, GROUP, str(idle_ms))))

    def takes_writes(self) -> bool:
        """Whether Redis answers and can be written to, so that a bell can be rung at all."""
        try:
            self._client.set(_PROBE, b"1", ex=BELL_TTL_SECONDS)
        except (redis.RedisError, OSError):
            return False
        return True

    def length(self) -> int:
        """How many entries wait, in hand or not."""
        return int(self._client.xlen(STREAM))


def _fields(delivery: Delivery) -> dict[Any, Any]:
    return {
        b"v": ENVELOPE_VERSION,
        b"id": delivery.event_id,
        b"type": delivery.event_type,
        b"created": delivery.created,
        b"ms": delivery.received_ms,
        b"body": delivery.body,
    }


def _entries(found: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
    return [Entry(entry_id, _delivery(fields)) for entry_id, fields in found if fields]


def _delivery(fields: dict[bytes, bytes]) -> Delivery:
    return Delivery(
        event_id=fields[b"id"].decode(),
        event_type=fields[b"type"].decode(),
        created=int(fields[b"created"]),
        received_ms=int(fields.get(b"ms", b"0")) or int(time.time() * 1000),
        body=fields[b"body"],
    )


def _entry_order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence or b"0")
