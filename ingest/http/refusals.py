"""What operations may refuse, for the OpenAPI document: each status with its codes and examples.

It describes; what is refused when is decided where the Problem is raised.
"""

import http
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema

from ingest.http.inputs import BODY_BYTES_MAX
from ingest.http.problems import CONTENT_TYPE, RETRY_AFTER_SECONDS, Problem

_TYPES = {bool: "boolean", int: "integer", str: "string", dict: "object", list: "array"}
_WAITS = (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE)
_RETRY_AFTER = {
    "Retry-After": {
        "description": "After how many seconds to come back.",
        "schema": {"type": "integer"},
        "example": RETRY_AFTER_SECONDS,
    }
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem that an operation may answer with.

    `detail` is what a person might read; `members` are what this problem tells besides, each with
    a value for the example.
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
        """The problem to raise, with what it tells this time."""
        return Problem(
            self.status, self.code, self.detail, headers=headers, errors=errors, members=members
        )


def of_everyone() -> tuple[Refusal, ...]:
    """What any operation but the webhook may answer."""
    return (
        Refusal(429, "rate_limited", "Too many requests within one second; slow down."),
        Refusal(500, "internal_error", "Something went wrong here; it has been logged."),
    )


def of_caller() -> tuple[Refusal, ...]:
    """What an operation that needs a token may answer."""
    return (
        Refusal(401, "not_authenticated", "A valid bearer token is needed."),
        Refusal(503, "authentication_not_configured", "Authentication is not configured."),
        Refusal(
            503, "authentication_unavailable", "Tokens cannot be checked at the moment; try again."
        ),
        Refusal(
            503,
            "database_unavailable",
            "The database does not answer at the moment; try again soon.",
        ),
    )


def of_scope(scope: str) -> tuple[Refusal, ...]:
    """What an operation that needs this scope may answer; nothing where that is empty."""
    if not scope:
        return ()
    return (Refusal(403, "insufficient_scope", f"The token must carry the scope {scope}."),)


def of_query(query: Schema) -> tuple[Refusal, ...]:
    """What an operation that reads a query may answer."""
    wrong = {"query": {"limit": ["Not a valid integer."]}}
    cursor = Refusal(
        422, "invalid_cursor", "The cursor is not one that this list gave out; start without it."
    )
    return (_invalid_input(wrong), *((cursor,) if "cursor" in query.fields else ()))


def of_body() -> tuple[Refusal, ...]:
    """What an operation that reads a JSON body may answer."""
    return (
        Refusal(400, "invalid_json", "The body is not valid JSON."),
        Refusal(413, "too_large", f"The body is larger than {BODY_BYTES_MAX} bytes."),
        Refusal(415, "unsupported_media_type", "Send the body as application/json."),
        _invalid_input({"body": {"colour": ["Unknown field."]}}),
    )


def _invalid_input(errors: Mapping[str, Any]) -> Refusal:
    return Refusal(
        422, "invalid_input", "The input is not valid; see errors.", members={"errors": errors}
    )


def documented(refusals: Iterable[Refusal]) -> dict[int, dict[str, Any]]:
    """OpenAPI's responses, one for each status."""
    by_status: dict[int, dict[str, Refusal]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.status, {}).setdefault(refusal.code, refusal)
    return {
        status: _response(http.HTTPStatus(status), list(by_status[status].values()))
        for status in sorted(by_status)
    }


def _response(status: http.HTTPStatus, refusals: list[Refusal]) -> dict[str, Any]:
    examples = {refusal.code: {"value": _example(status, refusal)} for refusal in refusals}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, _told(status, refusals)]}
    content = {"schema": schema, "examples": examples}
    return {
        "description": f"{status.phrase}: {', '.join(examples)}.",
        "content": {CONTENT_TYPE: content},
        **({"headers": _RETRY_AFTER} if status in _WAITS else {}),
    }


def _told(status: http.HTTPStatus, refusals: list[Refusal]) -> dict[str, Any]:
    """What a problem of this status tells besides what every problem tells."""
    members = {
        name: {"type": _TYPES[type(value)]}
        for refusal in refusals
        for name, value in refusal.members.items()
        if name != "errors"
    }
    codes = [refusal.code for refusal in refusals]
    always = sorted(set(members).intersection(*(refusal.members for refusal in refusals)))
    return {
        "type": "object",
        "properties": {"status": {"const": int(status)}, "code": {"enum": codes}, **members},
        **({"required": always} if always else {}),
    }


def _example(status: http.HTTPStatus, refusal: Refusal) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": refusal.detail,
        "code": refusal.code,
        **refusal.members,
    }
