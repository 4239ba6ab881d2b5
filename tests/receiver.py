"""A receiver of outgoing webhooks for tests, which misbehaves as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson
from standardwebhooks import Webhook, WebhookVerificationError

from dev.faults.local_server import serving

Json = dict[str, Any]
# By how much the clock of every receiver is wrong.
CLOCK_OFF_SECONDS = 0


@dataclass
class Receiver:
    """What was heard, and how the next messages are answered.

    `behavior` is `well`, `hang`, `slow` (a byte now and then), `redirect`, `endless`, `cut`, `die`
    (it hears, and ends without an answer) or a status; `poison` is a user for whom it always
    answers 500. With a `secret` only what verifies is heard. Who hangs does so for `hang_seconds`,
    and no longer than the receiver is there.
    """

    url: str = ""
    secret: str = ""
    behavior: str = "well"
    poison: str = ""
    hang_seconds: float = 30.0
    heard: list[Json] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    attempts: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def take(self, headers: dict[str, str], body: bytes) -> str:
        """Hear one message; returns how to answer."""
        self.attempts += 1
        if self.secret:
            try:
                Webhook(self.secret).verify(body, _as_seen(headers))
            except WebhookVerificationError:
                return "400"
        message = orjson.loads(body)
        if message["user"] == self.poison:
            return "500"
        if self.behavior in ("well", "endless", "die"):
            self.headers.append(headers)
            self.ids.append(headers["webhook-id"])
            self.heard.append(message)
        return self.behavior


def _as_seen(headers: dict[str, str]) -> dict[str, str]:
    """The headers as a receiver reads them whose clock is wrong: the time of sending seems off."""
    seen = int(headers["webhook-timestamp"]) - CLOCK_OFF_SECONDS
    return headers | {"webhook-timestamp": str(seen)}


@contextmanager
def receiving(**settings: Any) -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            _answer(self, receiver, receiver.take(headers, body))

        def do_GET(self) -> None:
            receiver.ids.append("followed a redirect")

        def log_message(self, *_: object) -> None:
            """Leave no line."""

    with serving(Handler) as url:
        receiver.url = f"{url}/hooks?x=1"
        try:
            yield receiver
        finally:
            receiver.ended.set()


def _answer(handler: BaseHTTPRequestHandler, receiver: Receiver, how: str) -> None:
    try:
        if how == "hang":
            receiver.ended.wait(receiver.hang_seconds)
        elif how == "die":
            handler.close_connection = True
        elif how == "redirect":
            handler.send_response(307)
            handler.send_header("location", receiver.url)
            handler.send_header("content-length", "0")
            handler.end_headers()
        elif how in ("endless", "cut", "slow"):
            handler.send_response(200)
            handler.send_header("content-length", str(10**9))
            handler.end_headers()
            handler.wfile.write(b"x" * 100)
            while how == "slow":
                handler.wfile.write(b"x")
                time.sleep(0.05)
            while how == "endless":
                handler.wfile.write(b"x" * 65_536)
            handler.close_connection = True
        else:
            handler.send_response(200 if how == "well" else int(how))
            handler.send_header("content-length", "2")
            handler.end_headers()
            handler.wfile.write(b"ok")
    except OSError:
        handler.close_connection = True
