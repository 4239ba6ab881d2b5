"""The threads' own connections to Redis: as many as threads live, however many there were."""

from contextlib import closing
from pathlib import Path
from threading import Thread

import redis

from db.queue.redis_connection import RedisLine, packed
from db.queue.stream import connect
from tests.redis_group import Member


def test_threads_that_ended_leave_no_connection_behind(redis_url: str) -> None:
    """A server that rests ends its idle threads; the connections of new ones never run out."""
    with closing(connect(redis_url, timeout_seconds=3.0)) as client:
        line = RedisLine(client)
        answers: list[bytes] = []
        threads = client.connection_pool.max_connections + 20
        for _ in range(threads):
            thread = Thread(target=lambda: answers.extend(line.ask(packed(b"PING"))))
            thread.start()
            thread.join()
        assert answers == [b"PONG"] * threads
        assert len(client.client_list()) < 20


def test_a_primary_that_became_a_replica_is_left(tmp_path: Path) -> None:
    """The same address may lead to another server by then."""
    with Member(tmp_path / "server") as server, server.client() as client:
        line = RedisLine(client)
        [before] = line.ask(packed(b"CLIENT", b"ID"))
        assert line.ask(packed(b"CLIENT", b"ID")) == [before]
        server.order("REPLICAOF", "127.0.0.1", "1")
        refusal, read = line.ask(packed(b"SET", b"a", b"b"), packed(b"EXISTS", b"a"))
        assert isinstance(refusal, redis.ReadOnlyError)
        assert read == 0
        [after] = line.ask(packed(b"CLIENT", b"ID"))
    assert after != before
