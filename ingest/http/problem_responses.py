"""The problems that operations may answer with, as OpenAPI's responses: codes and examples.

This module describes; where a problem is raised decides when it is answered.
"""

import http
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from marshmallow import Schema

from ingest.http import auth, inputs, problems
from ingest.http.pagination import INVALID_CURSOR
from ingest.http.problems import CONTENT_TYPE, RETRY_AFTER_SECONDS, ProblemType
from ingest.http.rate_limit import RATE_LIMITED
from ingest.http.schemas import ProblemSchema

_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", str: "string"}
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
    return (RATE_LIMITED, problems.INTERNAL_ERROR)


def of_caller() -> tuple[ProblemType, ...]:
    """What an operation that needs a token may answer."""
    return (
        auth.NOT_AUTHENTICATED,
        auth.NOT_CONFIGURED,
        auth.UNAVAILABLE,
        problems.DATABASE_UNAVAILABLE,
    )


def of_scope(scope: str) -> tuple[ProblemType, ...]:
    """What an operation that needs this scope may answer; nothing where that is empty."""
    return (auth.insufficient_scope(scope),) if scope else ()


def of_query(query: type[Schema] | None) -> tuple[ProblemType, ...]:
    """What an operation that reads this query may answer; nothing where there is none."""
    if query is None:
        return ()
    invalid = _invalid_input({"query": {"limit": ["Not a valid integer."]}})
    return (invalid, INVALID_CURSOR) if "cursor" in query().fields else (invalid,)


def of_body(body: type[Schema] | None) -> tuple[ProblemType, ...]:
    """What an operation that reads this JSON body may answer; nothing where there is none."""
    if body is None:
        return ()
    return (
        inputs.INVALID_JSON,
        inputs.TOO_LARGE,
        inputs.UNSUPPORTED_MEDIA_TYPE,
        _invalid_input({"body": {"colour": ["Unknown field."]}}),
    )


def _invalid_input(errors: Mapping[str, Any]) -> ProblemType:
    return replace(inputs.INVALID_INPUT, members={"errors": errors})


def documented(types: Iterable[ProblemType]) -> dict[int, dict[str, Any]]:
    """OpenAPI's responses, one for each status."""
    by_status: dict[int, dict[str, ProblemType]] = {}
    for problem in types:
        by_status.setdefault(problem.status, {}).setdefault(problem.code, problem)
    return {
        status: _response(http.HTTPStatus(status), list(by_status[status].values()))
        for status in sorted(by_status)
    }


def _response(status: http.HTTPStatus, types: list[ProblemType]) -> dict[str, Any]:
    examples = {problem.code: {"value": problem.example()} for problem in types}
    content = {"schema": _schema(types), "examples": examples}
    return {
        "description": f"{status.phrase}: {', '.join(examples)}.",
        "content": {CONTENT_TYPE: content},
        **({"headers": _RETRY_AFTER} if status in _WAITS else {}),
    }


def _schema_of(*shown: object) -> dict[str, Any]:
    """The schema of what examples of one value show; null alone tells nothing of what it may be."""
    told: list[Any] = [value for value in shown if value is not None]
    if not told:
        return {}
    first = told[0]
    if isinstance(first, list):
        schema: dict[str, Any] = {
            "type": "array",
            "items": _schema_of(*(item for items in told for item in items)),
        }
    elif isinstance(first, dict):
        properties = {name: _schema_of(*(value[name] for value in told)) for name in first}
        schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    else:
        schema = {"type": _TYPES[type(first)]}
    return schema | ({"type": [schema["type"], "null"]} if len(told) < len(shown) else {})


def _schema(types: list[ProblemType]) -> dict[str, Any]:
    """The schema of a problem of one status, written out whole.

    Generators of clients drop what they cannot merge, so there is no `allOf` and no `const`.
    """
    members = {
        name: _schema_of(value)
        for problem in types
        for name, value in problem.members.items()
        if name != "errors"
    }
    always = set(members).intersection(*(problem.members for problem in types))
    tells_errors = any("errors" in problem.members for problem in types)
    fields = {name: field for name, field in ProblemSchema().fields.items() if field.required}
    properties = {
        name: {"type": "integer" if name == "status" else "string", **field.metadata}
        for name, field in fields.items()
    }
    properties["code"]["enum"] = [problem.code for problem in types]
    if tells_errors:
        properties["errors"] = {"type": "object", **ProblemSchema().fields["errors"].metadata}
    return {
        "type": "object",
        "properties": properties | members,
        "required": [*fields, *sorted(always - {"errors"})],
    }
