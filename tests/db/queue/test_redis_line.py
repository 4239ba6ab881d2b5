"""The threads' own connections to Redis: as many as threads live, however many there were."""

from contextlib import closing
from threading import Thread

from db.queue.redis_connection import RedisLine, packed
from db.queue.stream import connect


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
