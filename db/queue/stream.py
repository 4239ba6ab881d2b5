"""The Redis stream: where an accepted event waits, durably, for a worker.

A delivery is one stream entry. The wake-up flag says that nobody needs to ask for a drain: one has
been asked for and has not begun yet, or one holds the flag and reads whatever comes. So a burst of
events sends one wake-up. Nothing here knows what an event means.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import redis
from redis.client import Pipeline

from db.queue.copies import Copies
from db.queue.redis_connection import RedisLine, packed
from db.queue.servers import open_client
from domain.events import Delivery

STREAM = "billing:events"
GROUP = "drain"
# The key keeps the name that earlier releases gave it: two releases run side by side.
WAKE_UP = "billing:armed"
_REQUESTED = b"1"
_PROBE = "billing:probe"
ENVELOPE_VERSION = b"1"

# A lost drain task is asked for again after this long, by the next delivery or the sweep.
WAKE_UP_TTL_SECONDS = 3
# A request that is older when the sweep comes led to no drain: messages are taken in their order.
OVERDUE_MS = 1_000
# While a drain cannot work, it is asked for again no sooner than this.
POSTPONE_MS = 1_000
# The flag outlives the wait of a drain that holds it by as much: for the last batch, and no longer,
# because a drain that died in the meantime reads nothing.
HELD_LONGER_MS = 500
_APPEND = (b"XADD", STREAM.encode(), b"*")
_REQUEST_WAKE_UP = packed(
    *(b"SET", WAKE_UP.encode(), _REQUESTED, b"NX", b"EX", b"%d" % WAKE_UP_TTL_SECONDS)
)
# What a consumer held this long without acknowledging is taken over: no task may take so long. With
# the sweep that notices, a killed worker delays its events by well under 30 s, also one that had
# them from another; by less where it is known for certain that it is dead.
LEASE_MS = 18_000
# A consumer that has no entries and has not asked for this long will not come back: consumers are
# named after processes.
IDLE_MAX_MS = 3_600_000
_CLEANED = "billing:tidied"
# One script each, because somebody else's flag may take its place between question and change.
_HOLD_WAKE_UP = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_RENEW_WAKE_UP = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if holder and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) - tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE_WAKE_UP = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
# One script, because a consumer that wakes up between question and deletion would lose entries.
_DELETE_IDLE = """
local names = {}
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for index = 1, #fields, 2 do consumer[fields[index]] = fields[index + 1] end
    if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
        table.insert(names, consumer.name)
    end
end
for _, name in ipairs(names) do redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name) end
return #names
"""
# One script, because of two consumers that ask at once only one may have the entries.
_TAKE_OVER = """
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[4], ARGV[2])
if #pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return {}
end
local ids = {}
for index, entry in ipairs(pending) do ids[index] = entry[1] end
return redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, unpack(ids))
"""


class StreamMessage(NamedTuple):
    """A stream entry as a worker reads it."""

    entry_id: bytes
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of deliveries that were put into the stream together.

    `errors` has, for each in its order, None where Redis has it on disk, in as many copies as are
    wanted, else why that is not known. `must_wake` says that the caller must ask for a drain.
    """

    errors: tuple[redis.RedisError | OSError | None, ...]
    must_wake: bool


def connect(redis_url: str, *, timeout_seconds: float = 0.5) -> redis.Redis:
    """A client that gives up after `timeout_seconds` and never retries by itself.

    Where the URL names Sentinels, it is connected to the server that they call the primary.
    """
    return open_client(redis_url, timeout_seconds)


class EventStream:
    """The stream and its wake-up flag, on one Redis client."""

    def __init__(self, client: redis.Redis, *, copies: int = 0) -> None:
        """`copies` is how many replicas must confirm what is put here."""
        self.client = client
        self._line = RedisLine(client)
        self._copies = Copies(copies)

    @property
    def waits_for_copies(self) -> bool:
        """Whether what is put here is stored only when replicas have it."""
        return self._copies.wanted > 0

    def put(self, delivery: Delivery) -> bool:
        """Append a delivery and request a wake-up; True when the caller must ask for a drain.

        When it returns at all, Redis has taken the entry. Raises `redis.RedisError` or OSError
        otherwise.
        """
        appended = self.put_each([delivery])
        [error] = appended.errors
        if error:
            raise error
        return appended.must_wake

    def put_each(self, deliveries: Sequence[Delivery]) -> Appended:
        """Append deliveries and request one wake-up for all of them, in one packet.

        Redis writes what comes in one packet to its file at once, so many share the wait for the
        disk (docs/decisions/0018), and for the copies where they are wanted (0019). With too few
        copies none of them counts as stored, though all are in the stream.
        """
        return self.appended(len(deliveries), self._line.ask(*self.packet(deliveries)))

    def packet(self, deliveries: Sequence[Delivery]) -> list[bytes]:
        """The commands that `put_each` sends."""
        appends = [packed(*_APPEND, *_fields(delivery)) for delivery in deliveries]
        return [*appends, _REQUEST_WAKE_UP, *self._copies.questions()]

    def appended(self, count: int, answers: Sequence[Any]) -> Appended:
        """What the answers to a packet of so many deliveries say."""
        appended, wake_up = answers[:count], answers[count]
        lacking = self._copies.failure(answers[count + 1 :])
        refusals = [
            answer if isinstance(answer, (redis.RedisError, OSError)) else None
            for answer in appended
        ]
        errors = tuple(refusal or lacking for refusal in refusals)
        # Where the answers are lost Redis may have everything, and the flag keeps others from
        # asking for what nobody else knows of. One wake-up too many is harmless.
        is_lost = isinstance(wake_up, Exception) and not isinstance(wake_up, redis.ResponseError)
        is_first = wake_up is not None and not all(refusals)
        return Appended(errors, must_wake=is_lost or is_first)

    def request_wake_up(self) -> bool:
        """Request a wake-up alone; True when nobody had, so the caller must send it."""
        return bool(self.client.set(WAKE_UP, _REQUESTED, nx=True, ex=WAKE_UP_TTL_SECONDS))

    def renew_wake_up(self) -> bool:
        """Request a wake-up that nobody requested in the last second; True: the caller must send.

        False too where a drain holds the flag, and so reads what comes.
        """
        ttl_ms = str(WAKE_UP_TTL_SECONDS * 1000)
        asked = (_REQUESTED, ttl_ms, str(OVERDUE_MS))
        return bool(self.client.eval(_RENEW_WAKE_UP, 1, WAKE_UP, *asked))

    def hold_wake_up(self, consumer: str, seconds: float) -> bool:
        """Begin a drain: for so long nobody requests a wake-up, as `consumer` reads what comes.

        False where another holds the flag, and so reads what comes; and where Redis is full.
        """
        held_ms = round(seconds * 1000) + HELD_LONGER_MS
        try:
            held = self.client.eval(_HOLD_WAKE_UP, 1, WAKE_UP, _REQUESTED, consumer, str(held_ms))
        except redis.OutOfMemoryError:
            return False  # Nothing can come then, and what is there is to be taken out.
        return bool(held)

    def release_wake_up(self, consumer: str) -> None:
        """Let the next delivery request a wake-up again, if `consumer` holds the flag.

        Read until nothing is left after it: what came before it woke nobody.
        """
        self.client.eval(_RELEASE_WAKE_UP, 1, WAKE_UP, consumer)

    def postpone_wake_up(self) -> None:
        """Let no wake-up be requested for a second; then the first delivery or sweep does it.

        For a drain that has begun and could do nothing: the wake-ups of that time were in vain.
        """
        self.client.set(WAKE_UP, _REQUESTED, px=POSTPONE_MS)

    def create_group(self) -> None:
        """Make the consumer group; a no-op when it exists."""
        try:
            self.client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.OutOfMemoryError:
            return  # It refuses before it looks whether the group exists; the read will tell.
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def read(
        self,
        consumer: str,
        count: int,
        *,
        wait_seconds: float = 0.0,
        finished: Sequence[bytes] = (),
    ) -> list[StreamMessage]:
        """Take up to `count` new entries for `consumer`; waits so long for the first of them.

        Entries that are `finished` are acknowledged in the same packet. The client must be one
        that waits longer for an answer.
        """
        pipeline = self.client.pipeline(transaction=False)
        _acknowledge(pipeline, finished)
        # Redis takes 0 for "without end".
        block_ms = max(1, round(wait_seconds * 1000)) if wait_seconds else None
        pipeline.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=count, block=block_ms)
        streams = cast("Any", pipeline.execute())[-1]
        return _entries(streams[0][1] if streams else [])

    def take_over_stale(
        self, consumer: str, count: int, lease_ms: int = LEASE_MS
    ) -> list[StreamMessage]:
        """Take over up to `count` entries that another consumer has held longer than the lease."""
        answer = self.client.xautoclaim(
            STREAM, GROUP, consumer, min_idle_time=lease_ms, start_id="0-0", count=count
        )
        return _entries(cast("Any", answer)[1])

    def holders(self) -> list[str]:
        """The consumers that have entries, dead or alive."""
        consumers = cast("Any", self.client.xinfo_consumers(STREAM, GROUP))
        return [consumer["name"].decode() for consumer in consumers if consumer["pending"]]

    def take_over(self, dead: str, consumer: str, count: int) -> list[StreamMessage]:
        """Take over up to `count` entries of a consumer that has certainly ended, at once.

        When it has none left, it is deleted.
        """
        answer = self.client.eval(_TAKE_OVER, 1, STREAM, GROUP, dead, consumer, str(count))
        return _entries(
            (entry_id, dict(zip(flat[::2], flat[1::2], strict=True)))
            for entry_id, flat in cast("Any", answer)
        )

    def give_back(self, consumer: str, *, but: Collection[bytes] = ()) -> None:
        """Let go of all that `consumer` holds, but for these; it does not count as handed out.

        For a consumer that cannot finish, through no fault of what it holds.
        """
        pending = cast(
            "list[dict[str, Any]]",
            self.client.xpending_range(STREAM, GROUP, "-", "+", 10_000, consumername=consumer),
        )
        ids = [row["message_id"] for row in pending if row["message_id"] not in but]
        if ids:
            options: Any = {"idle": LEASE_MS, "retrycount": 0, "justid": True}
            self.client.xclaim(STREAM, GROUP, consumer, 0, ids, **options)

    def times_delivered(self, entries: Sequence[StreamMessage]) -> dict[bytes, int]:
        """How often each of these entries has been handed out, itself included."""
        if not entries:
            return {}
        ids = sorted((entry.entry_id for entry in entries), key=_entry_order)
        pending = cast(
            "list[dict[str, Any]]",
            self.client.xpending_range(STREAM, GROUP, ids[0], ids[-1], count=10_000),
        )
        return {row["message_id"]: row["times_delivered"] for row in pending}

    def acknowledge(self, entry_ids: Iterable[bytes]) -> None:
        """Drop entries whose effect is committed."""
        ids = list(entry_ids)
        if ids:
            pipeline = self.client.pipeline(transaction=False)
            _acknowledge(pipeline, ids)
            pipeline.execute()

    def delete_idle_consumers(self, idle_ms: int = IDLE_MAX_MS) -> int:
        """Delete consumers that are long gone and have no entries, once an hour; how many."""
        if not self.client.set(_CLEANED, b"1", nx=True, px=IDLE_MAX_MS):
            return 0
        self.create_group()
        return int(cast("Any", self.client.eval(_DELETE_IDLE, 1, STREAM, GROUP, str(idle_ms))))

    def takes_writes(self) -> bool:
        """Whether Redis answers and can be written to; without that no wake-up can be requested."""
        try:
            self.client.set(_PROBE, b"1", ex=WAKE_UP_TTL_SECONDS)
        except (redis.RedisError, OSError):
            return False
        return True

    def server_id(self) -> str:
        """Names the server process that answers and the history of its data.

        After a failover it is another, and after a restart.
        """
        server, replication = self.client.info("server"), self.client.info("replication")
        return f"{server.get('run_id')}:{replication.get('master_replid')}"

    def length(self) -> int:
        """How many entries wait, in hand or not."""
        return int(self.client.xlen(STREAM))


def _acknowledge(pipeline: Pipeline, ids: Sequence[bytes]) -> None:
    """Drop entries, in this order.

    What is deleted and still pending is dropped by the next claim, but what is no longer pending
    and still there would be nobody's.
    """
    if ids:
        pipeline.xdel(STREAM, *ids)
        pipeline.xack(STREAM, GROUP, *ids)


def _fields(delivery: Delivery) -> tuple[bytes, ...]:
    fields: tuple[bytes, ...] = (
        *(b"v", ENVELOPE_VERSION),
        *(b"id", delivery.event_id.encode()),
        *(b"type", delivery.event_type.encode()),
        *(b"created", b"%d" % delivery.created),
        *(b"ms", b"%d" % delivery.received_ms),
        *(b"body", delivery.body),
    )
    if delivery.signature:
        fields = (*fields, b"sig", delivery.signature.encode())
    return (*fields, b"request", delivery.request_id.encode()) if delivery.request_id else fields


def _entries(answer: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[StreamMessage]:
    return [StreamMessage(entry_id, _delivery(fields)) for entry_id, fields in answer if fields]


def _delivery(fields: dict[bytes, bytes]) -> Delivery:
    # Entries that an earlier release wrote lack the last of these. By place: each name costs.
    return Delivery(
        fields[b"id"].decode(),
        fields[b"type"].decode(),
        int(fields[b"created"]),
        int(fields.get(b"ms", b"0")) or int(time.time() * 1000),
        fields[b"body"],
        fields.get(b"request", b"").decode(),
        fields.get(b"sig", b"").decode(),
    )


def _entry_order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence or b"0")
