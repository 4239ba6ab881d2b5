"""Logs each request in one line, counts it for the metrics, gives it an id for both ends.

The line says what was asked and how it went. It never holds a query, a body, a header other than
the request's id, or who asked. A view adds to it with `add`.
"""

import random
import re
import time
from collections.abc import Mapping
from types import MappingProxyType

from flask import Flask, Response, g, request

import metrics
import telemetry

HEADER = "X-Request-Id"
PATH_LENGTH_MAX = 200

_ACCEPTABLE_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
# Machines ask these every few seconds.
_QUIET_PATHS = ("/healthz", "/readyz", "/metrics")
_NOTHING: Mapping[str, str] = MappingProxyType({})
_log = telemetry.get_logger("ingest.http.access_log")


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
        added=g.get("log_fields", _NOTHING),
        code=g.get("problem_code"),
    )
    return response


def add(fields: Mapping[str, str]) -> None:
    """Add these to the line of the current request; they must hold nothing that users own."""
    g.log_fields = fields


def request_id(given: str) -> str:
    """The id that the client gave the request, if it is an acceptable one, else a new one."""
    return given if _ACCEPTABLE_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


def answered(
    method: str,
    path: str,
    status: int,
    seconds: float,
    *,
    route: str,
    request_id: str,
    added: Mapping[str, str] = _NOTHING,
    code: str | None = None,
) -> None:
    """Count a request and write its line.

    `route` is the rule that matched, for the count. `added` is what the view adds to the line,
    `code` what a problem is told apart by.
    """
    metrics.request_answered(route, status, seconds)
    log = _log.debug if path in _QUIET_PATHS else _log.info
    log(
        "request answered",
        method=method,
        path=path[:PATH_LENGTH_MAX],
        status=status,
        duration_ms=round(seconds * 1000, 2),
        request_id=request_id,
        **added,
        **({"code": code} if code else {}),
    )
