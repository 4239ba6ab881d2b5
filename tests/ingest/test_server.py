"""The `web` command as a process: serves, says what is wrong, stops, leaves nothing behind."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dev.up.ports import free_port
from tests.ingest.builders import ENVIRONMENT, a_body, a_signature

ROOT = Path(__file__).parents[2]
# Nobody listens at the discard port.
NO_DATABASE = "postgresql://nobody@127.0.0.1:9/none"
COMMAND = [sys.executable, "-c", "from ingest.server import web; web()"]

Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    """Starts `web` with these variables; whatever still runs after the test is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(**variables: str) -> "subprocess.Popen[str]":
        environment = os.environ | ENVIRONMENT | {"PORT": str(port), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            COMMAND,
            cwd=tmp_path,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(true: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait for something to become true; fail when it does not."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def answers(port: int) -> bool:
    """Whether someone serves there."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/healthz")
        return connection.getresponse().read() != b""
    except OSError:
        return False
    finally:
        connection.close()


def children_of(process: "subprocess.Popen[str]") -> list[int]:
    """The processes that it started."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_it_serves_until_it_is_told_to_stop(start: Start, port: int) -> None:
    """SIGTERM ends it soon, with its worker; a chunked flood is refused on the way."""
    process = start()
    wait_until(lambda: answers(port), "nobody answers")
    workers = children_of(process)
    assert flood(port).startswith(b"HTTP/1.1 413 ")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=8) == 0
    assert not any(runs(worker) for worker in workers)
    assert workers


def test_its_loop_is_the_fast_one(start: Start, port: int) -> None:
    """Granian takes uvloop by itself, and would do without it just as silently."""
    process = start()
    wait_until(lambda: answers(port), "nobody answers")
    [loaded] = {Path(f"/proc/{pid}/maps").read_text() for pid in children_of(process)}
    assert "/uvloop/loop." in loaded


def test_a_request_under_way_is_answered_before_it_stops(start: Start, port: int) -> None:
    """A Redis that hangs holds the delivery up for a moment; SIGTERM comes in between."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        process = start(REDIS_URL=address, INTAKE="stream", DATABASE_URL=NO_DATABASE)
        wait_until(lambda: answers(port), "nobody answers")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(a_delivery())
            time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert connection.recv(4096).startswith(b"HTTP/1.1 503 ")
    assert process.wait(timeout=8) == 0


def test_a_crowd_of_idle_connections_leaves_room(start: Start, port: int) -> None:
    """A thousand that say nothing keep nobody out, and do not keep it from stopping."""
    process = start()
    wait_until(lambda: answers(port), "nobody answers")
    with ExitStack() as idle:
        for _ in range(1_000):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        assert answers(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=8) == 0


def test_a_delivery_that_breaks_off_harms_nobody(start: Start, port: int) -> None:
    """Told and chunked lengths alike; nothing is logged as a bug."""
    process = start()
    wait_until(lambda: answers(port), "nobody answers")
    chunked = a_delivery().split(b"\r\n\r\n")[0] + b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
    for request in (a_delivery()[:-20], chunked.replace(b"Content-Length", b"X-Length")):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request)
        assert answers(port)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors
    assert "request failed" not in errors


def test_the_number_of_threads_is_no_warning(start: Start, port: int) -> None:
    """It is meant; what else the server says of itself is still said."""
    process = start()
    wait_until(lambda: answers(port), "nobody answers")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert "Listening at" in errors
    assert "threads" not in errors


def test_headers_without_end_are_refused(start: Start, port: int) -> None:
    """One long line, many lines, a long address: 431, and the next request is answered."""
    process = start()
    wait_until(lambda: answers(port), "nobody answers")
    for head in (
        b"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Pad: " + b"a" * 100_000,
        b"GET /healthz HTTP/1.1\r\nHost: test\r\n" + b"X-Pad: a\r\n" * 500 + b"X: y",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: test",
    ):
        assert exchange(port, head + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    assert answers(port)
    assert process.poll() is None


def test_its_worker_dies_with_it(start: Start, port: int) -> None:
    """Nothing is left on the port when the main process is killed."""
    process = start()
    wait_until(lambda: answers(port), "nobody answers")
    workers = children_of(process)
    process.kill()
    process.wait()
    wait_until(lambda: not any(runs(worker) for worker in workers), "a worker outlived it", 5)
    assert workers
    assert not answers(port)


def test_a_taken_port_is_one_clear_line(start: Start, port: int) -> None:
    """What is wrong, where, and what to do; no trace."""
    with socket.create_server(("127.0.0.1", port)):
        process = start()
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert output == ""
    assert errors == (
        f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use."
        " Set PORT (or HOST) to another, or stop what listens there.\n"
    )


def test_missing_settings_are_reported_together(start: Start) -> None:
    """Each by name, and no server."""
    process = start(DATABASE_URL="", REDIS_URL="", LOG_FORMAT="xml")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Traceback" not in errors
    for name in ("DATABASE_URL", "REDIS_URL", "LOG_FORMAT"):
        assert name in errors


def a_delivery() -> bytes:
    """A good delivery, as bytes of HTTP."""
    body = a_body()
    head = (
        "POST /billing/stripe/webhook/ HTTP/1.1\r\nHost: test\r\n"
        f"Stripe-Signature: {a_signature(body)['Stripe-Signature']}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def exchange(port: int, request: bytes) -> bytes:
    """The beginning of the answer to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(4096)


def flood(port: int) -> bytes:
    """The answer to a chunked body that goes on and on."""
    body = a_body(pad="x" * 4_000_000)
    head = (
        "POST /billing/stripe/webhook/ HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
        f"Stripe-Signature: {a_signature(body)['Stripe-Signature']}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode())
        try:
            for at in range(0, len(body), 65_536):
                piece = body[at : at + 65_536]
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # It was told before it had said everything.
        return connection.recv(4096)
