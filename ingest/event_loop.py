"""What granian serves: one event loop, which knows who answers which address.

The webhook and the stream are answered on the loop, where a request that waits costs no thread;
everything else is Flask's, in a bounded pool of threads.
"""

import asyncio
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from flask import Flask

import telemetry
from ingest.context import ReceiverContext, context_of
from ingest.http import inputs
from ingest.http.request_body import BodyReader
from ingest.http.rsgi import HTTPProtocol, ProtocolClosed, Scope
from ingest.http.wsgi_bridge import WsgiBridge
from ingest.stream import stream_entry
from ingest.stream.stream_entry import StreamEntry
from ingest.webhook import fast_path
from ingest.webhook.fast_path import WebhookEntry

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Four are as fast; the others are for requests that wait, for Stripe to answer above all
# (`ingest.checkout.deadline` bounds how many).
THREADS = 16
_log = telemetry.get_logger("ingest.event_loop")


class ReceiverLoop:
    """The RSGI application: the webhook, the stream, and a WSGI application behind them."""

    def __init__(self, app: "WSGIApplication", context: ReceiverContext) -> None:
        bodies = BodyReader()
        self._webhook = WebhookEntry(context, bodies)
        self._stream = StreamEntry(context)
        self._rest = WsgiBridge(app, bodies, threads=THREADS, body_bytes_max=inputs.BODY_BYTES_MAX)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server's worker begins."""
        self._webhook.start(loop)
        self._stream.start(loop)
        _end_streams_at_sigterm(loop, self._stream)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server's worker has answered what it had taken, and ends."""
        self._webhook.stop()
        self._stream.stop()
        self._rest.close()

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Answer one request."""
        try:
            if scope.method == "POST" and scope.path in fast_path.PATHS:
                await self._webhook.answer(scope, proto)
            elif scope.method == "GET" and scope.path in stream_entry.PATHS:
                await self._stream.answer(scope, proto)
            else:
                await self._rest.answer(scope, proto)
        except ProtocolClosed:
            _log.info("the client went away before it was answered")


def of_app(app: Flask) -> ReceiverLoop:
    """The event loop before a Flask application, on the application's own connections."""
    return ReceiverLoop(app, context_of(app.extensions))


def _end_streams_at_sigterm(loop: asyncio.AbstractEventLoop, stream: StreamEntry) -> None:
    """Close the streams first: granian waits for every answer to end before it ends itself."""
    if sys.platform == "win32" or not _is_main_thread():
        return

    def end() -> None:
        stream.stop()
        # granian's own handler is still there for this one.
        os.kill(os.getpid(), signal.SIGINT)

    loop.add_signal_handler(signal.SIGTERM, end)


def _is_main_thread() -> bool:
    """Whether signals can be handled here; a test's loop runs in another thread."""
    return threading.current_thread() is threading.main_thread()
