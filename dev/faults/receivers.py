"""A receiver of outgoing webhooks that dies, hangs, answers 500 and forgets, as it is told.

It keeps the newest state of each thing, as the guide's receivers do. Beside that it notes, for the
judge and not for itself, in which order it heard what.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from standardwebhooks import Webhook, WebhookVerificationError

from dev.faults.heard import Heard
from dev.faults.local_server import serving

# Longer than a destination is waited for.
HANG_SECONDS_MAX = 15.0

WELL, DIES, LATE, HANGS, ERRS, CUTS = "well", "dies", "late", "hangs", "errs", "cuts"
BEHAVIORS = (WELL, DIES, WELL, LATE, HANGS, WELL, ERRS, CUTS)


@dataclass(slots=True)
class Receiver:
    """One destination; `secret` is what it verifies with, `id` what `destinations` calls it.

    `attempts` counts what came, `taken` what was answered 2xx, `strange` what did not verify,
    `forgotten` how often it lost all it knew, `overtaken` what came before an earlier one.
    """

    url: str = ""
    id: str = ""
    secret: str = ""
    known: dict[str, Heard] = field(default_factory=dict)
    attempts: int = 0
    taken: int = 0
    strange: int = 0
    forgotten: int = 0
    overtaken: int = 0
    _behavior: str = WELL
    _newest: dict[str, int] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def behave(self, behavior: str) -> None:
        """Do so from now on; who hangs lets go."""
        with self._changed:
            self._behavior = behavior
            self._changed.notify_all()

    def forget(self) -> None:
        """Lose everything, as with a disk."""
        with self._changed:
            self.known.clear()
            self.forgotten += 1

    def take(self, headers: dict[str, str], body: bytes) -> str:
        """Hear one message, or not; returns how to answer."""
        with self._changed:
            self.attempts += 1
            behavior = self._behavior
            if behavior == HANGS:
                self._changed.wait_for(lambda: self._behavior != HANGS, HANG_SECONDS_MAX)
                return DIES
            if behavior not in (WELL, LATE):
                return behavior
            try:
                message = Webhook(self.secret).verify(body, headers)
            except WebhookVerificationError:
                self.strange += 1
                return ERRS
            self._hear(message)
            self.taken += behavior == WELL
        return behavior

    def _hear(self, message: dict[str, object]) -> None:
        user, version = str(message["user"]), int(str(message["version"]))
        newest = self._newest.get(user, 0)
        # One twice is allowed, one too early is not.
        self.overtaken += version > newest + 1
        self._newest[user] = max(newest, version)
        self.known.setdefault(user, Heard()).hear(message)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:
                # Who tells was killed amid a message; a whole one comes again.
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer(self, receiver.take(headers, body))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
            """Say nothing."""

    with serving(Handler, calm=True) as address:
        receiver.url = f"{address}/hooks"
        try:
            yield receiver
        finally:
            receiver.behave(DIES)


def answer(handler: BaseHTTPRequestHandler, behavior: str) -> None:
    """Answer as told: well, with an error, with half an answer, or not at all."""
    if behavior in (DIES, LATE):
        handler.close_connection = True
        return
    handler.send_response({WELL: 204, CUTS: 200}.get(behavior, 500))
    handler.send_header("Content-Length", "1000" if behavior == CUTS else "0")
    handler.end_headers()
    handler.close_connection = behavior == CUTS
