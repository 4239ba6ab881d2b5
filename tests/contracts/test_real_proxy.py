"""The shipped proxy and alerts in the real nginx and promtool, where the machine has them."""

import contextlib
import http.server
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from dev.up.ports import free_port
from sandbox.simulate.wire import BROKEN, Wire

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
PROMTOOL = shutil.which("promtool")
MEBIBYTE = 1_048_576

needs_nginx = pytest.mark.skipif(not NGINX, reason="nginx is not installed")
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")


@dataclass
class Receiver:
    """Stands behind the proxy; it notes what came, and when its body had come in whole."""

    port: int
    bodies: list[int] = field(default_factory=list)
    forwarded: list[str] = field(default_factory=list)
    # Lets an event stream say its second word.
    goes_on: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server of this process in the receiver's place."""
    noted = Receiver(free_port())

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            noted.bodies.append(len(self.rfile.read(length)))
            noted.forwarded.append(self.headers["X-Forwarded-For"])
            self._answer(b"{}")

        def do_GET(self) -> None:
            if self.path.startswith("/billing/stream/"):
                self._stream()
            else:
                self._answer(b"# numbers")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: one\n\n")
            self.wfile.flush()
            noted.goes_on.wait(20)
            self.wfile.write(b"data: two\n\n")

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", noted.port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield noted
    noted.goes_on.set()
    server.shutdown()
    server.server_close()


def configuration(place: Path, port: int, behind: int) -> str:
    """The shipped file around which nginx gets what its image brings, on ports of this test.

    Older nginxes, such as Debian's, cannot ask again for the name of a server.
    """
    text = (ROOT / "deploy" / "proxy.conf").read_text(encoding="utf-8")
    assert "server web:8000 resolve;" in text
    text = text.replace("server web:8000 resolve;", f"server 127.0.0.1:{behind};")
    assert "listen 8080;" in text
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    temporary = "".join(
        f"{kind}_temp_path {place}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"pid {place}/pid;\ndaemon off;\nerror_log {place}/errors warn;\nevents {{}}\n"
    if Path("/proc/self/status").read_text(encoding="ascii").split("Uid:")[1].split()[0] == "0":
        head = f"user root;\n{head}"
    return f"{head}http {{\naccess_log off;\n{temporary}{text}\n}}\n"


@pytest.fixture
def proxy(receiver: Receiver, tmp_path: Path) -> Iterator[str]:
    """The address of nginx with the shipped file before that receiver."""
    with nginx(receiver.port, tmp_path) as url:
        yield url


@contextlib.contextmanager
def nginx(behind: int, tmp_path: Path) -> Iterator[str]:
    """The real one, with the shipped file, before whatever listens there."""
    assert NGINX
    port = free_port()
    path = tmp_path / "nginx.conf"
    path.write_text(configuration(tmp_path, port, behind), encoding="utf-8")
    command = [NGINX, "-p", str(tmp_path), "-e", str(tmp_path / "errors"), "-c", str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            await_answer(url)
            yield url
        finally:
            process.terminate()


def await_answer(url: str) -> None:
    """Return when the proxy answers."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(*BROKEN):
            ask(url, "GET", "/metrics", {})
            return
        time.sleep(0.05)
    pytest.fail("nginx does not answer")


def ask(url: str, method: str, path: str, *more: Any) -> tuple[int, bytes]:
    """The answer to one request, on a connection of its own."""
    with contextlib.closing(Wire(url)) as wire:
        return wire.request(method, path, *more)


@needs_nginx
@pytest.mark.parametrize("size", [10, MEBIBYTE, MEBIBYTE + 1_000])
def test_whatever_the_receiver_decides_about_comes_through(
    proxy: str, receiver: Receiver, size: int
) -> None:
    """Also what is a little too large, so that the product's own answer is seen."""
    status, body = ask(proxy, "POST", "/billing/stripe/webhook/", {}, b"x" * size)
    assert (status, body) == (HTTPStatus.OK, b"{}")
    assert receiver.bodies == [size]
    assert receiver.forwarded == ["127.0.0.1"]


@needs_nginx
def test_what_is_far_too_large_is_refused_as_a_problem(proxy: str, receiver: Receiver) -> None:
    """In the form in which the product refuses."""
    status, body = ask(proxy, "POST", "/billing/", {}, b"x" * 2 * MEBIBYTE)
    assert status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert b'"code":"too_large"' in body
    assert receiver.bodies == []


@needs_nginx
def test_a_slow_body_is_the_proxys_to_wait_for(proxy: str, receiver: Receiver) -> None:
    """The receiver hears of it when it is whole."""
    host, _, port = proxy.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /billing/ HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n")
        connection.sendall(b"x" * 10)
        time.sleep(0.5)
        assert receiver.bodies == []
        connection.sendall(b"x" * 10)
        assert b"200" in connection.recv(100)
    assert receiver.bodies == [20]


@needs_nginx
def test_the_numbers_stay_inside(proxy: str) -> None:
    """Prometheus asks the receivers themselves."""
    assert ask(proxy, "GET", "/metrics", {})[0] == HTTPStatus.NOT_FOUND


@needs_nginx
def test_an_event_stream_is_handed_on_as_it_comes(proxy: str, receiver: Receiver) -> None:
    """Word by word: who listens does not wait for a buffer to fill."""
    host, _, port = proxy.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /billing/stream/ HTTP/1.1\r\nHost: x\r\n\r\n")
        heard = b""
        while b"data: one" not in heard:
            heard += connection.recv(1_000)
        assert b"data: two" not in heard
        receiver.goes_on.set()
        while b"data: two" not in heard:
            heard += connection.recv(1_000)
    assert b"text/event-stream" in heard


@needs_nginx
def test_without_a_receiver_stripe_is_told_to_come_again(tmp_path: Path) -> None:
    """A 503 with the time to wait, as the product says it."""
    with nginx(free_port(), tmp_path) as url:
        status, body = ask(url, "POST", "/billing/stripe/webhook/", {}, b"{}")
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert b'"code":"unavailable"' in body


def promtool(*words: str, place: Path) -> str:
    """What promtool says; fails the test where it refuses."""
    assert PROMTOOL
    result = subprocess.run(
        [PROMTOOL, *words], cwd=place, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@needs_promtool
def test_prometheus_itself_takes_the_configuration_and_every_rule() -> None:
    """Its own checker, on the files as they are shipped."""
    said = promtool("check", "config", "prometheus.yml", place=ROOT / "deploy")
    number = len(re.findall(r"- alert:", (ROOT / "deploy/alerts.yml").read_text("utf-8")))
    assert f"{number} rules found" in said


# What each alert is about: values, a minute apart, on which it must fire.
FIRING = {
    "BillingLag": ("billing_lag_seconds", "61x20"),
    "BillingDeadEvents": ('billing_events_unapplied{status="dead"}', "1x20"),
    "BillingEventsLeft": ("billing_events_left_total", "0+10x60"),
}
CASE = """
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series: [{{series: '{series}', values: '{values}'}}]
    promql_expr_test:
      - expr: 'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
        eval_time: 19m
        exp_samples: [{{labels: '{{}}', value: {expected}}}]
"""


@needs_promtool
@pytest.mark.parametrize("name", FIRING)
def test_an_alert_fires_on_what_it_is_about(name: str, tmp_path: Path) -> None:
    """In Prometheus' own evaluation; and not while the number stays at rest."""
    series, values = FIRING[name]
    shutil.copy(ROOT / "deploy" / "alerts.yml", tmp_path)
    for said, expected in ((values, 1), ("0x60", 0)):
        case = CASE.format(series=series, values=said, name=name, expected=expected)
        (tmp_path / "case.yml").write_text(case, encoding="utf-8")
        promtool("test", "rules", "case.yml", place=tmp_path)
