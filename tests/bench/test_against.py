"""Two sides are compared round by round, and a receiver can be given many idle connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # It ships no types.
import pytest
import redis

from bench.against.memory import idle_connections
from bench.against.sides import OURS, THEN, Side, compare
from bench.figures import Findings
from bench.place import Place, StandError
from bench.stand import sample_plans
from bench.trees import Tree


def test_a_comparison_is_the_median_of_ratios_not_a_ratio_of_medians() -> None:
    """A slow stretch of the host falls on both figures of one round."""
    found = Findings("against")
    rounds = {OURS: [100.0, 10.0, 90.0], THEN: [50.0, 10.0, 30.0]}
    compare(found, "accept.rate", "accepted", "events/s", rounds)
    by_key = {figure.key: figure for figure in found.figures}
    assert by_key["against.accept.rate.ours"].values == (100.0, 10.0, 90.0)
    assert by_key["against.accept.rate"].values == (2.0, 1.0, 3.0)
    assert by_key["against.accept.rate"].median == 2.0


def test_a_filled_queue_comes_to_its_worker_all_at_once(redis_url: str) -> None:
    """Under the name that its receiver gave it, in place of what was left there."""
    base, _, number = redis_url.rpartition("/")
    place = Place("", redis_url)
    twin = Place("", f"{base}/{int(number) + 1}")
    me = Tree("me", psutil.Process())
    side = Side(OURS, place, me, 0, twin, 0, frozenset())
    with redis.Redis.from_url(twin.redis_url) as filled, redis.Redis.from_url(redis_url) as client:
        filled.flushdb()
        with pytest.raises(StandError, match="made no stream"):
            side.release()
        client.xadd("billing:entries", {"old": 1})
        for _ in range(3):
            filled.xadd("billing:entries", {"new": 1})
        assert side.release() == b"billing:entries"
        assert client.xlen("billing:entries") == 3
        assert not filled.exists("billing:entries")


@contextmanager
def a_server(answer: bytes) -> Iterator[int]:
    """A server that gives each connection one answer and keeps it."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.recv(4096)
                connection.sendall(answer)
                kept.append(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


def test_connections_stay_open_while_memory_is_looked_at() -> None:
    """Whatever they were answered: some ask too often for a receiver's taste."""
    answer = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
    with a_server(answer) as port, idle_connections(port, 20):
        connections = psutil.Process().net_connections("tcp")
        ours = [each for each in connections if each.raddr and each.raddr.port == port]
        assert len([each for each in ours if each.status == "ESTABLISHED"]) == 20


def test_a_receiver_that_keeps_no_connection_is_not_measured_as_small() -> None:
    """It would win by refusing."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with (
        a_server(answer) as port,
        pytest.raises(StandError, match="did not keep"),
        idle_connections(port, 20),
    ):
        pass


def test_another_checkout_is_told_by_its_folder(tmp_path: Path) -> None:
    """A place works with the code of its own root."""
    assert Place("", "").root == Path(__file__).parents[2]
    assert Place("", "", tmp_path).root == tmp_path


def test_another_checkout_sells_by_its_own_catalogue(tmp_path: Path) -> None:
    """Wherever it kept it then."""
    with pytest.raises(StandError, match="has no sample_plans"):
        sample_plans(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "sample_plans.toml").touch()
    assert sample_plans(tmp_path) == tmp_path / "dev" / "sample_plans.toml"
