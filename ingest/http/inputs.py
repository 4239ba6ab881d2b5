"""Reads what a caller sends: a query, a JSON body, an Idempotency-Key; or says what is wrong.

An answer repeats nothing that was sent, except the names of known inputs.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from flask import request
from marshmallow import Schema, ValidationError

from ingest.http.problems import ProblemType

# For every request but a webhook, which has its own limit.
BODY_BYTES_MAX = 64 * 1024
KEY_HEADER = "Idempotency-Key"
KEY_LENGTH_MAX = 255

INVALID_INPUT = ProblemType(422, "invalid_input", "The input is not valid; see errors.")
INVALID_JSON = ProblemType(400, "invalid_json", "The body is not valid JSON.")
TOO_LARGE = ProblemType(413, "too_large", f"The body is larger than {BODY_BYTES_MAX} bytes.")
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    415, "unsupported_media_type", "Send the body as application/json."
)
KEY_MISSING = ProblemType(
    400,
    "idempotency_key_missing",
    f"Send an {KEY_HEADER} header: one new value for each thing you want done once.",
)
KEY_INVALID = ProblemType(
    400,
    "idempotency_key_invalid",
    f"The {KEY_HEADER} must be 1 to {KEY_LENGTH_MAX} visible ASCII characters.",
)

_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}")


def query(schema: Schema) -> dict[str, Any]:
    """The checked query of the current request; raises a 422 that names what is wrong."""
    return _checked(schema, request.args.to_dict(), "query")


def body(schema: Schema) -> dict[str, Any]:
    """The checked JSON body of the current request; no body at all counts as an empty object.

    Raises a 413 when it is too large, a 415 when it is of another media type, a 400 when it is
    not JSON and a 422 when it does not fit `schema`.
    """
    raw = _read()
    if not raw:
        return _checked(schema, {}, "body")
    if not request.is_json:
        raise UNSUPPORTED_MEDIA_TYPE.problem()
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise INVALID_JSON.problem() from error
    return _checked(schema, given, "body")


def idempotency_key() -> str:
    """The Idempotency-Key of the current request; raises a 400 where it is missing or malformed."""
    key = optional_idempotency_key()
    if key is None:
        raise KEY_MISSING.problem()
    return key


def optional_idempotency_key() -> str | None:
    """The Idempotency-Key of the current request, if there is one; raises a 400 as above."""
    key = request.headers.get(KEY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise KEY_INVALID.problem()
    return key


def key_parameter(*, required: bool) -> dict[str, Any]:
    """The Idempotency-Key header, as OpenAPI documents it."""
    return {
        "in": "header",
        "name": KEY_HEADER,
        "required": required,
        "description": "A value of your own, new for each thing that is to be done once. Sent"
        " again with the same content it has no further effect.",
        "schema": {"type": "string", "pattern": f"^{_KEY.pattern}$"},
        "example": "7d1a6e0c-3f57-4a58-9e0e-2f6b1f1c7a11",
    }


def _read() -> bytes:
    # Werkzeug refuses a longer Content-Length unread, but cuts off a body that does not announce
    # its length. One byte over the limit shows that a body was cut.
    request.max_content_length = BODY_BYTES_MAX + 1
    raw = request.get_data(cache=False)
    if len(raw) > BODY_BYTES_MAX:
        raise TOO_LARGE.problem()
    return raw


def _checked(schema: Schema, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        checked: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        raise INVALID_INPUT.problem(errors={where: error.messages}) from error
    return checked
