"""Packets of many entries: what Redis confirmed is known, what it refused or lost is known too."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import psutil  # type: ignore[import-untyped]  # It ships no types.
import pytest
import redis

from db.bodies import compress
from db.queue.redis_connection import RedisLine, packed
from db.queue.stream import STREAM, WAKE_UP, EventStream, connect
from dev.up.engines import ValkeyEngine
from domain.events import Delivery


def deliveries(count: int) -> list[Delivery]:
    """Verified events."""
    return [
        Delivery(f"evt_{number}", "invoice.paid", 1, 2, compress(b"{}")) for number in range(count)
    ]


@contextmanager
def server_that_dies_after(answers: bytes) -> Iterator[str]:
    """A server that reads a packet, sends this much of its answers and is gone."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                # The client introduces itself first.
                while b"XADD" not in (packet := connection.recv(1_000_000)):
                    connection.sendall(packet.count(b"SETINFO") * b"+OK\r\n")
                connection.sendall(answers)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
        thread.join(5)


def test_many_entries_and_one_wake_up_are_one_packet(redis_url: str) -> None:
    """All are on disk; the caller is told once to ask for a drain."""
    with closing(connect(redis_url, timeout_seconds=3.0)) as client:
        client.flushdb()
        events = EventStream(client)
        appended = events.put_each(deliveries(100))
        assert appended.errors == (None,) * 100
        assert appended.must_wake
        assert not events.put_each(deliveries(2)).must_wake
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(STREAM))
        stored = [fields[b"id"] for _, fields in entries]
        assert stored[:100] == [b"evt_%d" % number for number in range(100)]
        client.flushdb()


@pytest.mark.parametrize(
    ("answers", "confirmed"),
    [
        (b"", 0),
        (b"$3\r\n1-0\r\n", 1),
        (b"$3\r\n1-0\r\n$3\r\n2-0\r\n$3\r\n3-", 2),
        (b"$3\r\n1-0\r\n$3\r\n2-0\r\n$3\r\n3-0\r\n", 3),
    ],
)
def test_a_connection_lost_amid_the_answers_fails_those_without_one(
    answers: bytes, confirmed: int
) -> None:
    """An entry is stored exactly where its own answer came; never guessed."""
    with (
        server_that_dies_after(answers) as address,
        closing(connect(address, timeout_seconds=3.0)) as client,
    ):
        appended = EventStream(client).put_each(deliveries(3))
    assert [error is None for error in appended.errors] == [n < confirmed for n in range(3)]
    # Whether a wake-up was requested is not known, so one is sent.
    assert appended.must_wake


def test_what_redis_takes_in_when_nobody_waits_any_more_wakes_a_worker(tmp_path: Path) -> None:
    """Its flag stands then, so nobody else asks for a drain."""
    with (
        ValkeyEngine(tmp_path) as engine,
        closing(connect(engine.url, timeout_seconds=5.0)) as client,
        closing(connect(engine.url, timeout_seconds=2.0)) as hasty,
    ):
        events = EventStream(hasty)
        assert events.put(deliveries(1)[0])  # It is connected then.
        client.delete(WAKE_UP)
        server = psutil.Process(cast("dict[str, int]", client.info("server"))["process_id"])
        server.suspend()
        appended = events.put_each(deliveries(2))
        server.resume()
        assert [type(error) for error in appended.errors] == [redis.TimeoutError] * 2
        assert appended.must_wake
        assert client.xlen(STREAM) == 3
        assert not EventStream(client).request_wake_up()


def test_a_full_redis_wakes_nobody_for_what_it_refused(tmp_path: Path) -> None:
    """It has answered, so it is known that nothing was requested."""
    with (
        ValkeyEngine(tmp_path) as engine,
        closing(connect(engine.url, timeout_seconds=5.0)) as client,
    ):
        client.config_set("maxmemory", "1")
        appended = EventStream(client).put_each(deliveries(2))
        assert [type(error) for error in appended.errors] == [redis.OutOfMemoryError] * 2
        assert not appended.must_wake


def test_a_refusal_of_one_command_is_its_own_answer(redis_url: str) -> None:
    """The others of its packet are answered, and the connection stays good."""
    with closing(connect(redis_url, timeout_seconds=3.0)) as client:
        line = RedisLine(client)
        first, refused, last = line.ask(packed(b"PING"), packed(b"NOPE"), packed(b"PING"))
        assert (first, last) == (b"PONG", b"PONG")
        assert isinstance(refused, redis.ResponseError)
        assert line.ask(packed(b"PING")) == [b"PONG"]


def test_one_delivery_that_was_not_confirmed_is_an_error() -> None:
    """Whoever puts a single one is not left to look at its outcome."""
    with (
        server_that_dies_after(b"") as address,
        closing(connect(address, timeout_seconds=3.0)) as client,
        pytest.raises(redis.ConnectionError),
    ):
        EventStream(client).put(deliveries(1)[0])
