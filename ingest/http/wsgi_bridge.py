"""Gives a request of the event loop to a WSGI application, in a bounded pool of threads.

It knows nothing of what the application does. Answers of the application are small and are sent
whole; what streams belongs on the event loop.
"""

import asyncio
import io
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ingest.http import request_body
from ingest.http.exchange import respond
from ingest.http.problems import Problem, ProblemType
from ingest.http.request_body import BodyReader
from ingest.http.rsgi import HTTPProtocol, Scope, client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Requests that wait for a thread; more are told to come back.
WAITING_MAX = 512

TOO_BUSY = ProblemType(503, "too_busy", "Too many requests wait for an answer; come back soon.")

Answer = tuple[int, list[tuple[str, str]], bytes]


class WsgiBridge:
    """Answers requests by a WSGI application; `answer` is called on one event loop."""

    def __init__(
        self, app: "WSGIApplication", bodies: BodyReader, *, threads: int, body_bytes_max: int
    ) -> None:
        """`body_bytes_max` is the largest body that any of the application's views takes."""
        self._app = app
        self._bodies = bodies
        self._body_bytes_max = body_bytes_max
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")
        self._room = WAITING_MAX + threads

    async def answer(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Have the application answer; what cannot be given to it is answered with a problem."""
        if self._room <= 0:
            respond(proto, TOO_BUSY.problem())
            return
        self._room -= 1
        try:
            environ = environ_of(scope, await self._body(scope, proto))
            loop = asyncio.get_running_loop()
            status, headers, body = await loop.run_in_executor(self._pool, self._run, environ)
            proto.response_bytes(status, headers, body)
        except Problem as problem:
            respond(proto, problem)
        finally:
            self._room += 1

    def close(self) -> None:
        """Take no more requests."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _body(self, scope: Scope, proto: HTTPProtocol) -> bytes:
        try:
            # One byte more than is allowed shows the application that it was too much.
            return await self._bodies.read(scope, proto, self._body_bytes_max + 1)
        except request_body.TooLargeError:
            return bytes(self._body_bytes_max + 1)
        except request_body.TooManyError:
            raise TOO_BUSY.problem() from None

    def _run(self, environ: dict[str, Any]) -> Answer:
        began: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _error: object = None
        ) -> "Any":  # noqa: ANN401 - WSGI's old way to write; nothing here uses it.
            began[:] = [(int(status[:3]), [(name.lower(), value) for name, value in headers])]

        pieces: Iterable[bytes] = self._app(environ, start_response)
        try:
            body = b"".join(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        [(status, headers)] = began
        return status, headers, body


def environ_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """A request as WSGI (PEP 3333) has it, with its whole body."""
    host, _, port = scope.server.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        # WSGI has bytes as Latin-1; the server has decoded the path as UTF-8.
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": client_address(scope),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value
        elif key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            key = f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    if scope.authority:
        environ["HTTP_HOST"] = scope.authority
    if body or "content-length" in scope.headers:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ
