"""One line in the log for each request, one count for the metrics, and an id for both ends.

The line says what was asked and how it went. It never holds a query, a body, a header other than
the request's id, or who asked.
"""

import re
import time
import uuid

from flask import Flask, Response, g, request

import metrics
import telemetry
from ingest.webhook import receiver
from ingest.webhook.receiver import Received

HEADER = "X-Request-Id"
PATH_LENGTH_MAX = 200

_ACCEPTABLE_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
# Asked every few seconds by machines.
_QUIET_PATHS = ("/healthz", "/readyz", "/metrics")
_log = telemetry.get_logger("ingest.requests")


def register(app: Flask) -> None:
    """Log every request that `app` answers."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = time.perf_counter()
    g.request_id = request_id(request.headers.get(HEADER, ""))


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    # The path as asked could be anything; the rule is one of ours.
    route = request.url_rule.rule if request.url_rule else "none"
    answered(
        request.method,
        request.path,
        response.status_code,
        time.perf_counter() - g.began,
        route=route,
        request_id=g.request_id,
        received=g.get("received"),
        code=g.get("problem_code"),
    )
    if request.endpoint == receiver.ENDPOINT and "problem_code" in g:
        metrics.webhook_refused(g.problem_code)
    return response


def request_id(given: str) -> str:
    """The id that the client gave the request, if it is an acceptable one, else a new one."""
    return given if _ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex


def answered(
    method: str,
    path: str,
    status: int,
    seconds: float,
    *,
    route: str,
    request_id: str,
    received: Received | None = None,
    code: str | None = None,
) -> None:
    """Count a request and write its line; `route` is the rule that matched, for the count."""
    metrics.request_answered(route, status, seconds)
    say = _log.debug if path in _QUIET_PATHS else _log.info
    say(
        "request answered",
        method=method,
        path=path[:PATH_LENGTH_MAX],
        status=status,
        duration_ms=round(seconds * 1000, 2),
        request_id=request_id,
        **(_event(received) if received else {}),
        **({"code": code} if code else {}),
    )


def _event(received: Received) -> dict[str, str]:
    return {
        "event_id": received.event_id,
        "event_type": received.event_type,
        "intake": received.intake,
    }
