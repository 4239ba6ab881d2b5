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
from ingest import webhook
from ingest.webhook import Received

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
    given = request.headers.get(HEADER, "")
    g.request_id = given if _ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    seconds = time.perf_counter() - g.began
    _count(response.status_code, seconds)
    say = _log.debug if request.path in _QUIET_PATHS else _log.info
    say(
        "request answered",
        method=request.method,
        path=request.path[:PATH_LENGTH_MAX],
        status=response.status_code,
        duration_ms=round(seconds * 1000, 2),
        request_id=g.request_id,
        **_event(),
        **_problem(),
    )
    return response


def _event() -> dict[str, str]:
    received: Received | None = g.get("received")
    if received is None:
        return {}
    return {
        "event_id": received.event_id,
        "event_type": received.event_type,
        "intake": received.intake,
    }


def _problem() -> dict[str, str]:
    return {"code": g.problem_code} if "problem_code" in g else {}


def _count(status: int, seconds: float) -> None:
    # The path as asked could be anything; the rule is one of ours.
    route = request.url_rule.rule if request.url_rule else "none"
    metrics.request_answered(route, status, seconds)
    if request.endpoint == webhook.ENDPOINT and "problem_code" in g:
        metrics.webhook_refused(g.problem_code)
