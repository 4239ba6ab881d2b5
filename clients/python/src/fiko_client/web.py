"""Tells users of an app, as `application/problem+json`, why they were refused.

One of these makes 402, 409, 429 and 503 of the exceptions that `@costs` and `spend` raise.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fiko_client.errors import FikoError, InsufficientTokens, KeyReused, RateLimited, ServiceAway

if TYPE_CHECKING:
    import fastapi
    import flask

# What a user of the app may be told of; anything else is a fault of the app.
TOLD = (InsufficientTokens, KeyReused, RateLimited, ServiceAway)
CONTENT_TYPE = "application/problem+json"
_AWAY = 503
_TITLES = {
    402: "Payment Required",
    409: "Conflict",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_RETRY_SECONDS = 2


def problem_answer(error: FikoError) -> tuple[bytes, int, dict[str, str]]:
    """Body, status and headers that tell a user of it."""
    members: dict[str, object] = {}
    status = _AWAY
    retry_after: float | None = None
    if isinstance(error, (InsufficientTokens, KeyReused, RateLimited)):
        status, members, retry_after = error.status, error.members, error.retry_after
    if isinstance(error, ServiceAway):
        retry_after = error.retry_after or _RETRY_SECONDS
    told = {
        "type": "about:blank",
        "title": _TITLES.get(status, ""),
        "status": status,
        "detail": error.detail,
        "code": error.code,
    }
    headers = {"Content-Type": CONTENT_TYPE}
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, round(retry_after)))
    return json.dumps({**members, **told}).encode(), status, headers


def flask_errors(app: "flask.Flask") -> None:
    """Let a Flask application tell its users."""

    def answer(error: FikoError) -> tuple[bytes, int, dict[str, str]]:
        return problem_answer(error)

    for kind in TOLD:
        app.register_error_handler(kind, answer)


def fastapi_errors(app: "fastapi.FastAPI") -> None:
    """Let a FastAPI or Starlette application tell its users."""
    from starlette.requests import Request  # noqa: PLC0415 - only who uses it has it.
    from starlette.responses import Response  # noqa: PLC0415 - as above.

    async def answer(_request: Request, error: Exception) -> Response:
        assert isinstance(error, FikoError)
        body, status, headers = problem_answer(error)
        return Response(body, status, headers)

    for kind in TOLD:
        app.add_exception_handler(kind, answer)


class DjangoErrors:
    """Middleware that lets a Django project tell its users: `fiko_client.web.DjangoErrors`."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        from asgiref.sync import (  # noqa: PLC0415 - only who uses it has it.
            iscoroutinefunction,
            markcoroutinefunction,
        )

        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:  # noqa: ANN401 - Django is not typed.
        """The answer of the view; awaitable where the project is."""
        return self._get_response(request)

    def process_exception(self, _request: Any, error: Exception) -> Any:  # noqa: ANN401 - as above.
        """The answer for what a view raised; None leaves it to Django."""
        if not isinstance(error, TOLD):
            return None
        from django.http import HttpResponse  # noqa: PLC0415 - as above.

        body, status, headers = problem_answer(error)
        return HttpResponse(body, status=status, headers=headers)
