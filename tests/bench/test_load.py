"""The load driver: it sends everything, counts honestly, and excuses no server that stalls."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.figures import percentile
from bench.load import Aim, LoadError, fire

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
BODY = b"done"


@contextmanager
def a_server(answer: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """A server on a free port; `answer` is called with the connection and the request's number."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    numbers, lock = iter(range(1_000_000)), threading.Lock()

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                with lock:
                    number = next(numbers)
                answer(connection, number)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def at_once(connection: socket.socket, _number: int) -> None:
    """Head and body in two pieces, as some servers send them."""
    connection.sendall(ANSWER)
    connection.sendall(BODY)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_closed_load_sends_each_request_once_and_counts_every_answer() -> None:
    """However many pieces an answer comes in."""
    with a_server(at_once) as port:
        volley = fire([REQUEST] * 500, Aim((port,), seconds=10))
    assert volley.statuses == {200: 500}
    assert sorted(volley.answered) == list(range(500))
    assert len(volley.latencies) == 500
    assert volley.rate == pytest.approx(500 / volley.seconds)
    assert 0 < volley.driver_seconds < volley.seconds


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_open_load_counts_from_the_time_a_request_was_meant_for() -> None:
    """A stall is felt by all that should have come meanwhile, not by those under way only."""
    stall = threading.Event()

    def stalls_once(connection: socket.socket, number: int) -> None:
        if number == 20:
            stall.set()
            time.sleep(0.4)
            stall.clear()
        while stall.is_set():
            time.sleep(0.005)
        at_once(connection, number)

    with a_server(stalls_once) as port:
        volley = fire([REQUEST] * 300, Aim((port,), seconds=1.0, rate=300.0))
    assert volley.statuses == {200: 300}
    # In 0.4 s some 120 of 300 were due; a closed load would have counted only its connections.
    late = [seconds for seconds in volley.latencies if seconds > 0.05]
    assert len(late) > 80
    assert percentile(volley.latencies, 0.99) > 0.3


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_connection_that_breaks_under_a_request_is_no_success() -> None:
    """The request counts as unanswered, and the load goes on."""

    def breaks_once(connection: socket.socket, number: int) -> None:
        if number == 10:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            at_once(connection, number)

    with a_server(breaks_once) as port:
        volley = fire([REQUEST] * 100, Aim((port,), seconds=10))
    assert volley.statuses == {200: 99, 0: 1}
    with pytest.raises(LoadError, match="only 200 was expected"):
        volley.require_success("it")


def test_a_server_that_is_not_there_is_told_in_a_line() -> None:
    """Not by a trace of the driver's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    with pytest.raises(LoadError, match="the load driver failed"):
        fire([REQUEST], Aim((port,), seconds=1))
