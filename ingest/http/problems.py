"""Every error of the receiver as `application/problem+json` (RFC 9457).

Clients tell errors apart by `code`, which never changes; `detail` is for people. Nothing of a
request's content, and nothing of how the server failed, goes into either.
"""

import http
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Flask, Response, current_app, g, request
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

import telemetry

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

_CODES = {
    http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    http.HTTPStatus.UNPROCESSABLE_ENTITY: "invalid_input",
    http.HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
}
_DETAILS = {
    http.HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    http.HTTPStatus.METHOD_NOT_ALLOWED: "This address does not answer that method; see Allow.",
    http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than this address accepts.",
    http.HTTPStatus.UNPROCESSABLE_ENTITY: "The input is not valid; see errors.",
    http.HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here; it has been logged.",
}
_log = telemetry.get_logger("ingest.http.problems")


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem.
    """An answer that is an error; raising it anywhere in a request sends it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: object = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """`errors` says which inputs are wrong; `members` are what this problem tells besides."""
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        if errors:
            self.members["errors"] = errors

    @classmethod
    def unavailable(cls, code: str, detail: str) -> "Problem":
        """A 503 that says when to come back."""
        return cls(503, code, detail, headers=_retry_after(503))

    def body(self) -> bytes:
        """The problem as JSON."""
        return orjson.dumps(_body(self.status, self.code, self.detail) | self.members)

    def response(self) -> Response:
        """The problem as Flask sends it; the log and the metrics learn its code."""
        g.problem_code = self.code
        return Response(self.body(), self.status, self.headers, content_type=CONTENT_TYPE)


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem that operations answer with (RFC 9457), told apart by its code.

    `detail` is for people; `members` are what the problem has besides, each with a value for the
    example. `detail` may quote members in braces.
    """

    status: int
    code: str
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)

    def problem(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        errors: object = None,
        members: Mapping[str, object] | None = None,
    ) -> Problem:
        """The problem to raise, with its members of this time; a 503 says when to come back."""
        return Problem(
            self.status,
            self.code,
            self.detail.format(**(members or {})),
            headers=_retry_after(self.status) | dict(headers or {}),
            errors=errors,
            members=members,
        )

    def example(self) -> dict[str, Any]:
        """The problem as its members' examples make it."""
        detail = self.detail.format(**self.members)
        return _body(self.status, self.code, detail) | dict(self.members)


INTERNAL_ERROR = ProblemType(
    500, "internal_error", "Something went wrong here; it has been logged."
)
DATABASE_UNAVAILABLE = ProblemType(
    503, "database_unavailable", "The database does not answer at the moment; try again soon."
)


def register(app: Flask) -> None:
    """Answer every error of `app` with a problem; call it after the extensions are set up."""
    app.register_error_handler(Problem, Problem.response)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(DBAPIError, _from_database)
    app.register_error_handler(PoolTimeoutError, _from_database)
    app.register_error_handler(Exception, _from_bug)


def _from_http(error: HTTPException) -> Response:
    if isinstance(error, NotFound):
        error = _wrong_method() or error
    status = http.HTTPStatus(error.code or 500)
    code = _CODES.get(status, status.phrase.lower().replace(" ", "_").replace("-", "_"))
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in ("content-type", "content-length")
    }
    detail = _DETAILS.get(status) or f"{status.phrase}."
    return Problem(status, code, detail, headers=headers).response()


def _wrong_method() -> MethodNotAllowed | None:
    """A 405 that Werkzeug answers as a 404: a wrong method on /path where the rule is /path/."""
    adapter = current_app.create_url_adapter(request)
    methods = adapter.allowed_methods(f"{request.path}/") if adapter else []
    # Where the rule takes the method, the view itself answered 404.
    is_wrong_method = methods and request.method not in methods
    return MethodNotAllowed(sorted(methods)) if is_wrong_method else None


def _from_database(error: DBAPIError | PoolTimeoutError) -> Response:
    gone = isinstance(error, (OperationalError, PoolTimeoutError)) or error.connection_invalidated
    if not gone:
        return _from_bug(error)
    _log.warning("database not available", error=type(error).__name__)
    return DATABASE_UNAVAILABLE.problem().response()


def _from_bug(error: Exception) -> Response:
    return of_bug(error).response()


def of_bug(error: Exception) -> Problem:
    """Log what nobody expected; returns the 500 that tells the caller nothing of it."""
    # A database error's text quotes values; its type and the trace's code lines do not.
    _log.error("request failed", error=type(error).__name__, exc_info=error)
    return INTERNAL_ERROR.problem()


def _retry_after(status: int) -> dict[str, str]:
    waits = status == http.HTTPStatus.SERVICE_UNAVAILABLE
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if waits else {}


def _body(status: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
    }
