"""The stream: wake-ups, and whose entries are whose, on a real Valkey."""

import time
from threading import Timer

import pytest
import redis

from db.queue import stream as streams
from db.queue.stream import GROUP, STREAM, WAKE_UP, EventStream
from tests.pipeline import a_delivery
from tests.stripe_objects import a_session, an_event


def put(stream: EventStream, count: int = 1) -> None:
    """Put events on the stream, numbered from evt_0 on."""
    for number in range(count):
        event = an_event("checkout.session.completed", a_session(), event_id=f"evt_{number}")
        stream.put(a_delivery(event))


def ids(messages: list[streams.StreamMessage]) -> list[str]:
    """The events in these messages."""
    return [message.delivery.event_id for message in messages]


def test_what_is_read_is_what_was_put(stream: EventStream) -> None:
    """Every member of a delivery, as it came."""
    delivery = a_delivery(an_event("checkout.session.completed", a_session()))
    stream.put(delivery)
    (message,) = stream.read("a", 10)
    assert message.delivery == delivery
    assert stream.read("a", 10) == []


def test_an_entry_of_an_earlier_release_has_no_request(
    stream: EventStream, client: redis.Redis
) -> None:
    """Two releases run side by side while one replaces the other."""
    fields = {b"v": b"1", b"id": b"evt_1", b"type": b"a.b", b"created": b"7", b"body": b"x"}
    client.xadd(STREAM, fields)  # type: ignore[arg-type]  # The client's own types are narrower.
    (message,) = stream.read("a", 10)
    assert (message.delivery.event_id, message.delivery.request_id) == ("evt_1", "")
    assert abs(message.delivery.received_ms / 1000 - time.time()) < 60


def test_only_the_first_of_a_burst_requests_a_wake_up(stream: EventStream) -> None:
    """A burst costs one task; after a drain has released the flag, the next delivery asks again."""
    event = a_delivery(an_event("checkout.session.completed", a_session()))
    assert [stream.put(event) for _ in range(3)] == [True, False, False]
    assert not stream.request_wake_up()
    assert stream.hold_wake_up("a", 1.0)
    assert not stream.put(event)
    stream.release_wake_up("a")
    assert stream.request_wake_up()
    assert not stream.put(event)


def test_one_drain_at_a_time_holds_the_wake_up(stream: EventStream, client: redis.Redis) -> None:
    """Another neither takes the flag nor ends it; one that died holds it for a moment only."""
    assert stream.hold_wake_up("a", 1.0)
    assert not stream.hold_wake_up("b", 1.0)
    stream.release_wake_up("b")
    assert not stream.request_wake_up()
    assert stream.hold_wake_up("a", 1.0)
    assert 0 < client.pttl(WAKE_UP) <= 1_000 + streams.HELD_LONGER_MS
    client.delete(WAKE_UP)
    assert stream.request_wake_up()
    stream.release_wake_up("a")
    assert not stream.request_wake_up()


def test_a_read_waits_for_what_comes_and_acknowledges_what_is_finished(
    stream: EventStream,
) -> None:
    """In one packet; without anything to come it ends in time."""
    put(stream, 1)
    [first] = stream.read("a", 10)
    began = time.monotonic()
    assert stream.read("a", 10, wait_seconds=0.2, finished=[first.entry_id]) == []
    assert 0.15 < time.monotonic() - began < 2.0
    assert stream.length() == 0
    late = Timer(0.2, put, (stream, 1))
    late.start()
    assert ids(stream.read("a", 10, wait_seconds=2.5)) == ["evt_0"]
    late.join()
    assert time.monotonic() - began < 2.5


def test_a_lost_wake_up_is_asked_for_again_in_time(
    stream: EventStream, client: redis.Redis
) -> None:
    """The flag runs out by itself, and a postponed one sooner than that."""
    stream.request_wake_up()
    assert 0 < client.pttl(WAKE_UP) <= streams.WAKE_UP_TTL_SECONDS * 1000
    stream.postpone_wake_up()
    assert 0 < client.pttl(WAKE_UP) <= streams.POSTPONE_MS
    assert not stream.request_wake_up()


def test_a_request_that_led_to_no_drain_is_renewed_and_a_new_one_is_not(
    stream: EventStream, client: redis.Redis
) -> None:
    """A drain that holds the flag reads what comes, however long it has had it."""
    assert stream.renew_wake_up()
    client.pexpire(WAKE_UP, 60_000)  # Whatever the machine is slow at, it is new.
    assert not stream.renew_wake_up()
    overdue_ms = streams.WAKE_UP_TTL_SECONDS * 1000 - streams.OVERDUE_MS
    client.pexpire(WAKE_UP, overdue_ms)
    assert stream.renew_wake_up()
    assert client.pttl(WAKE_UP) > overdue_ms
    assert stream.hold_wake_up("a", 1.0)
    assert not stream.renew_wake_up()


def test_the_key_of_the_flag_is_that_of_earlier_releases() -> None:
    """A receiver of one release wakes the workers of another."""
    assert (STREAM, WAKE_UP) == ("billing:events", "billing:armed")


def test_no_entry_is_handed_out_twice(stream: EventStream) -> None:
    """Consumers share the work."""
    put(stream, 5)
    first, second = stream.read("a", 3), stream.read("b", 3)
    assert ids(first) + ids(second) == [f"evt_{number}" for number in range(5)]
    assert stream.holders() == ["a", "b"]


def test_what_is_acknowledged_is_gone(stream: EventStream, client: redis.Redis) -> None:
    """Neither waiting nor in anyone's hands."""
    put(stream, 2)
    first, second = stream.read("a", 2)
    stream.acknowledge([first.entry_id])
    assert stream.length() == 1
    assert client.xpending(STREAM, GROUP)["pending"] == 1
    stream.acknowledge([second.entry_id])
    stream.acknowledge([])
    assert (stream.length(), stream.holders()) == (0, [])


def test_a_lease_that_runs_is_left_alone(stream: EventStream) -> None:
    """A slow consumer keeps what it has; one that is late loses it."""
    put(stream, 2)
    stream.read("slow", 2)
    assert stream.take_over_stale("b", 10) == []
    assert ids(stream.take_over_stale("b", 10, lease_ms=0)) == ["evt_0", "evt_1"]
    assert stream.holders() == ["b"]


def test_what_a_dead_consumer_had_goes_to_one_of_two(
    stream: EventStream, client: redis.Redis
) -> None:
    """Two that ask at once share it; then the dead one is deleted."""
    put(stream, 3)
    stream.read("dead", 3)
    taken = [ids(stream.take_over("dead", name, 2)) for name in ("a", "b", "a")]
    assert taken == [["evt_0", "evt_1"], ["evt_2"], []]
    names = [consumer["name"] for consumer in client.xinfo_consumers(STREAM, GROUP)]
    assert names == [b"a", b"b"]


def test_handing_out_is_counted_but_not_what_was_given_back(stream: EventStream) -> None:
    """A consumer that could not work is no reason to suspect an event."""
    put(stream, 1)
    entries = stream.read("a", 1)
    entries = stream.take_over_stale("b", 1, lease_ms=0)
    assert list(stream.times_delivered(entries).values()) == [2]
    stream.give_back("b")
    assert list(stream.times_delivered(entries).values()) == [0]
    assert ids(stream.take_over_stale("c", 1)) == ["evt_0"]
    assert stream.times_delivered([]) == {}


def test_what_is_kept_is_not_given_back(stream: EventStream) -> None:
    """The one that may have killed its process counts on."""
    put(stream, 2)
    kept, given = stream.read("a", 2)
    stream.give_back("a", but=[kept.entry_id])
    assert list(stream.times_delivered([kept, given]).values()) == [1, 0]


@pytest.mark.parametrize("reads", [0, 1])
def test_only_consumers_without_entries_are_deleted(
    stream: EventStream, client: redis.Redis, reads: int
) -> None:
    """One that has entries keeps them, or they would be lost."""
    put(stream, reads)
    stream.read("idle", 10)
    assert stream.delete_idle_consumers(idle_ms=0) == 1 - reads
    assert stream.delete_idle_consumers(idle_ms=0) == 0, "once an hour"
    assert len(client.xinfo_consumers(STREAM, GROUP)) == reads


def test_a_group_that_exists_is_kept(stream: EventStream) -> None:
    """Making it again loses no place in the stream."""
    put(stream, 1)
    stream.read("a", 1)
    stream.create_group()
    assert (stream.read("a", 1), stream.holders()) == ([], ["a"])


def test_whether_redis_takes_writes(stream: EventStream) -> None:
    """A Redis that is away is told from one that works."""
    assert stream.takes_writes()
    nobody = streams.connect("redis://127.0.0.1:1/0", timeout_seconds=0.2)
    assert not EventStream(nobody).takes_writes()
