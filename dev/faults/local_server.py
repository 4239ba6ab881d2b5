"""Serves a request handler on a free port of this machine, for as long as a block runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

POLL_SECONDS = 0.02


class _CalmServer(ThreadingHTTPServer):
    """One whose clients may go away in the middle, and whose handlers may hang."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever went away did so on purpose."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], *, calm: bool = False) -> Iterator[str]:
    """The address at which the handler answers.

    A `calm` server says nothing of requests that break off, and does not wait for them at its end.
    """
    server = (_CalmServer if calm else ThreadingHTTPServer)(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
