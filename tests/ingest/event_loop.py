"""Drives the receiver's event loop from a WSGI client, so that both ways in meet the same tests.

What granian hands over is made from a WSGI environ: names in lower case, values that are no ASCII
left out, bodies in pieces. The real server is met in `test_server`.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import uvloop

from ingest.event_loop import ReceiverLoop
from ingest.http.rsgi import ProtocolClosed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PIECE_BYTES = 100_000
ANSWER_SECONDS_MAX = 20


class Headers:
    """Header lines as granian has them."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        self._lines = lines

    def __contains__(self, name: str) -> bool:
        return any(name == each for each, _ in self._lines)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first of this name."""
        value = next((value for each, value in self._lines if each == name), default)
        return value if value is None or value.isascii() else default

    def items(self) -> list[tuple[str, str]]:
        """All of them."""
        return [(name, value) for name, value in self._lines if value.isascii()]


@dataclass(frozen=True, slots=True)
class Scope:
    """A request without its body."""

    method: str
    path: str
    headers: Headers
    query_string: str = ""
    http_version: str = "1.1"
    scheme: str = "http"
    server: str = "127.0.0.1:8000"
    client: str = "127.0.0.1:50000"
    authority: str | None = None


@dataclass
class Exchange:
    """The other end of a request: has the body, remembers the answer and what was read."""

    body: bytes
    read_bytes: int = 0
    answers: list[tuple[int, list[tuple[str, str]], bytes]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> bytes:
        """The whole body."""
        self.read_bytes = len(self.body)
        return self.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for begin in range(0, len(self.body), PIECE_BYTES):
            piece = self.body[begin : begin + PIECE_BYTES]
            self.read_bytes += len(piece)
            yield piece

    async def client_disconnect(self) -> None:
        """Returns when the client goes away."""
        await self.gone.wait()

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> "Exchange":
        """Remember the head of a stream."""
        self.answers.append((status, headers, b""))
        return self

    async def send_str(self, data: str) -> None:
        """Remember a piece of a stream."""
        if self.gone.is_set():
            raise ProtocolClosed
        self.sent.append(data)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Remember the answer."""
        self.answers.append((status, headers, body))


class ThroughTheLoop:
    """A WSGI application that has an event loop answer."""

    def __init__(self, app: "WSGIApplication", context: Any) -> None:
        self.entry = ReceiverLoop(app, context)
        # What granian takes, too.
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    @contextmanager
    def running(self) -> Iterator["ThroughTheLoop"]:
        """The loop runs, as in a server's worker."""
        self.loop.call_soon(self.entry.__rsgi_init__, self.loop)
        self._thread.start()
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(self.entry.__rsgi_del__, self.loop)
            # What was cancelled gets its turn.
            self.loop.call_soon_threadsafe(self.loop.call_later, 0.01, self.loop.stop)
            self._thread.join(timeout=ANSWER_SECONDS_MAX)
            self.loop.close()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        """Answer one request of a WSGI client."""
        scope, exchange = scope_of(environ), Exchange(environ["wsgi.input"].read())
        asyncio.run_coroutine_threadsafe(self.entry.__rsgi__(scope, exchange), self.loop).result(
            ANSWER_SECONDS_MAX
        )
        [(status, headers, body)] = exchange.answers
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [body]


def scope_of(environ: "WSGIEnvironment") -> Scope:
    """A WSGI request as the server of an event loop tells it."""
    lines = [
        (name.removeprefix("HTTP_").replace("_", "-").lower(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    ]
    if environ.get("wsgi.input_terminated") and "CONTENT_LENGTH" not in environ:
        lines.append(("transfer-encoding", "chunked"))
    return Scope(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
        Headers(lines),
        environ.get("QUERY_STRING", ""),
    )
