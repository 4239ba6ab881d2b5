"""The problems that operations may answer with, as OpenAPI's responses: codes and examples.

This module describes; where a problem is raised decides when it is answered.
"""

import http
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import Schema

from ingest.http.inputs import BODY_BYTES_MAX
from ingest.http.problems import CONTENT_TYPE, RETRY_AFTER_SECONDS, ProblemType

_TYPES = {bool: "boolean", int: "integer", str: "string", dict: "object", list: "array"}
_WAITS = (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE)
_RETRY_AFTER = {
    "Retry-After": {
        "description": "After how many seconds to come back.",
        "schema": {"type": "integer"},
        "example": RETRY_AFTER_SECONDS,
    }
}


def of_everyone() -> tuple[ProblemType, ...]:
    """What any operation but the webhook may answer."""
    return (
        ProblemType(429, "rate_limited", "Too many requests within one second; slow down."),
        ProblemType(500, "internal_error", "Something went wrong here; it has been logged."),
    )


def of_caller() -> tuple[ProblemType, ...]:
    """What an operation that needs a token may answer."""
    return (
        ProblemType(401, "not_authenticated", "A valid bearer token is needed."),
        ProblemType(503, "authentication_not_configured", "Authentication is not configured."),
        ProblemType(
            503, "authentication_unavailable", "Tokens cannot be checked at the moment; try again."
        ),
        ProblemType(
            503,
            "database_unavailable",
            "The database does not answer at the moment; try again soon.",
        ),
    )


def of_scope(scope: str) -> tuple[ProblemType, ...]:
    """What an operation that needs this scope may answer; nothing where that is empty."""
    if not scope:
        return ()
    return (ProblemType(403, "insufficient_scope", f"The token must carry the scope {scope}."),)


def of_query(query: Schema) -> tuple[ProblemType, ...]:
    """What an operation that reads a query may answer."""
    wrong = {"query": {"limit": ["Not a valid integer."]}}
    cursor = ProblemType(
        422, "invalid_cursor", "The cursor is not one that this list gave out; start without it."
    )
    return (_invalid_input(wrong), *((cursor,) if "cursor" in query.fields else ()))


def of_body() -> tuple[ProblemType, ...]:
    """What an operation that reads a JSON body may answer."""
    return (
        ProblemType(400, "invalid_json", "The body is not valid JSON."),
        ProblemType(413, "too_large", f"The body is larger than {BODY_BYTES_MAX} bytes."),
        ProblemType(415, "unsupported_media_type", "Send the body as application/json."),
        _invalid_input({"body": {"colour": ["Unknown field."]}}),
    )


def _invalid_input(errors: Mapping[str, Any]) -> ProblemType:
    return ProblemType(
        422, "invalid_input", "The input is not valid; see errors.", members={"errors": errors}
    )


def documented(problems: Iterable[ProblemType]) -> dict[int, dict[str, Any]]:
    """OpenAPI's responses, one for each status."""
    by_status: dict[int, dict[str, ProblemType]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, {}).setdefault(problem.code, problem)
    return {
        status: _response(http.HTTPStatus(status), list(by_status[status].values()))
        for status in sorted(by_status)
    }


def _response(status: http.HTTPStatus, problems: list[ProblemType]) -> dict[str, Any]:
    examples = {problem.code: {"value": _example(status, problem)} for problem in problems}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, _schema(status, problems)]}
    content = {"schema": schema, "examples": examples}
    return {
        "description": f"{status.phrase}: {', '.join(examples)}.",
        "content": {CONTENT_TYPE: content},
        **({"headers": _RETRY_AFTER} if status in _WAITS else {}),
    }


def _schema(status: http.HTTPStatus, problems: list[ProblemType]) -> dict[str, Any]:
    """The members of a problem of this status, besides those that every problem has."""
    members = {
        name: {"type": _TYPES[type(value)]}
        for problem in problems
        for name, value in problem.members.items()
        if name != "errors"
    }
    codes = [problem.code for problem in problems]
    always = sorted(set(members).intersection(*(problem.members for problem in problems)))
    return {
        "type": "object",
        "properties": {"status": {"const": int(status)}, "code": {"enum": codes}, **members},
        **({"required": always} if always else {}),
    }


def _example(status: http.HTTPStatus, problem: ProblemType) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": problem.detail,
        "code": problem.code,
        **problem.members,
    }
