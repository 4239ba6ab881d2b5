"""A short way in for what Stripe delivers: answers a plain, good delivery before Flask is asked.

Flask's dispatch costs as much as everything that the receiver does (docs/decisions/0013). Whatever
is not plain or not good goes on to the Flask view, which calls the same `receive` and says what is
wrong; so nothing is refused here.
"""

import time
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from ingest.context import ReceiverContext
from ingest.http import access_log
from ingest.webhook import receiver

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATHS = frozenset({receiver.PATH, receiver.PATH.rstrip("/")})
_LENGTH_DIGITS_MAX = len(str(receiver.BODY_BYTES_MAX))


class WebhookEntry:
    """Wraps the WSGI application; to be called by many threads at once."""

    def __init__(self, app: "WSGIApplication", here: ReceiverContext) -> None:
        self._app = app
        self._intake = here.intake
        # Without a secret there is no good delivery.
        enabled = here.settings.stripe_enabled
        self._secrets = here.settings.stripe_webhook_secrets if enabled else ()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a delivery, or have the application answer."""
        length = _plain_length(environ)
        if length is None or not self._secrets:
            return self._app(environ, start_response)
        began = time.perf_counter()
        request_id = access_log.request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        body = environ["wsgi.input"].read(length)
        try:
            received = receiver.receive(
                body,
                environ.get("HTTP_STRIPE_SIGNATURE"),
                secrets=self._secrets,
                intake=self._intake,
                request_id=request_id,
            )
        except Exception:  # noqa: BLE001 - the view meets it again, and says what it is.
            environ["wsgi.input"] = BytesIO(body)
            return self._app(environ, start_response)
        headers = [*_HEADERS, (access_log.HEADER, request_id)]
        start_response("200 OK", headers)
        access_log.answered(
            "POST",
            environ["PATH_INFO"],
            200,
            time.perf_counter() - began,
            route=receiver.PATH,
            request_id=request_id,
            added=received.log_fields,
        )
        return [receiver.RECEIVED]


_HEADERS = (
    ("Content-Type", "application/json"),
    ("Content-Length", str(len(receiver.RECEIVED))),
)


def _plain_length(environ: "WSGIEnvironment") -> int | None:
    """The length of a delivery that tells one within the limit; None for every other request."""
    if environ["REQUEST_METHOD"] != "POST" or environ.get("PATH_INFO") not in PATHS:
        return None
    told = environ.get("CONTENT_LENGTH") or ""
    if not (told.isascii() and told.isdigit() and len(told) <= _LENGTH_DIGITS_MAX):
        return None
    length = int(told)
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    return None if is_chunked or length > receiver.BODY_BYTES_MAX else length
