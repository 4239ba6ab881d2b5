"""A tiny HTTP server in Stripe's place: answers what a test tells it, remembers what was asked."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dev.faults.local_server import serving


@dataclass
class StripeServer:
    """What is asked for by path, and what was asked; `status` answers everything when it is set.

    An answer may be a function of the query, by parameter, which returns a status and a body. Every
    answer takes `delay_seconds`, and bears a `Date` that much `ahead_seconds` of our clock.
    """

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    delay_seconds: float = 0.0
    ahead_seconds: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def forget(self) -> None:
        """Know nothing, and answer at once again."""
        self.answers.clear()
        self.asked.clear()
        self.headers.clear()
        self.status, self.delay_seconds, self.ahead_seconds = 200, 0.0, 0

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        """The status and body for a path."""
        self.asked.append(path)
        if self.status != 200:
            return self.status, {"error": {"type": "api_error", "message": "told to"}}
        if path not in self.answers:
            error = {"type": "invalid_request_error", "code": "resource_missing", "message": "no"}
            return 404, {"error": error}
        found = self.answers[path]
        if callable(found):
            status, body = found(query)
            return status, body
        return 200, found


@contextmanager
def serve() -> Iterator[StripeServer]:
    """A server on a free port of this machine, for as long as the block runs."""
    stripe = StripeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            status, found = stripe.answer(url.path, dict(parse_qsl(url.query)))
            if stripe.delay_seconds:
                time.sleep(stripe.delay_seconds)
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Stripe-Should-Retry", "false")
            for name, value in stripe.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            now = time.time() if timestamp is None else timestamp
            return super().date_time_string(int(now) + stripe.ahead_seconds)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
            """Say nothing."""

    with serving(Handler) as stripe.url:
        yield stripe
