"""The OpenAPI document: what flask-smorest makes of the routes, in our terms."""

from typing import Any

from flask import Flask
from flask_smorest import Api
from marshmallow import fields, validate

from ingest.http.shapes import ProblemSchema

DESCRIPTION = """\
Subscriptions and token balances that follow Stripe.

Times are ISO 8601 in UTC. Money is whole numbers of minor units with a `currency`. Lists come in
pages: pass `next_cursor` as `cursor` until it is null. Errors are `application/problem+json`; tell
them apart by `code`. The user is always the one the bearer token names.
"""
CONFIGURATION: dict[str, object] = {
    "API_TITLE": "Fiko Billing",
    "API_VERSION": "1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/",
    "API_SPEC_OPTIONS": {
        "info": {"description": DESCRIPTION},
        "servers": [{"url": "/", "description": "Where this document comes from."}],
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token whose `sub` is the user; scopes in `scope`.",
                }
            }
        },
    },
}


class Document(Api):  # type: ignore[misc] # flask-smorest has no types.
    """The document of one app; flask-smorest's own errors and pages are left out of it."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_responses(self) -> None:
        """None: each operation tells its refusals itself."""

    def _register_etag_headers(self) -> None:
        """None: no answer has one."""

    def _register_pagination_header(self) -> None:
        """None: pages are told in the body."""


def open_document(app: Flask) -> Any:  # noqa: ANN401 - flask-smorest has no types.
    """Serve the document at /openapi.json; register the blueprints at what this returns."""
    app.config.update(CONFIGURATION)
    document = Document(app)
    document.ma_plugin.converter.add_attribute_function(_pattern)
    document.spec.components.schema("Problem", schema=ProblemSchema)
    return document


def _pattern(_converter: object, field: fields.Field[Any], **_told: object) -> dict[str, str]:
    r"""A field's pattern in the dialect of JSON Schema, which knows no \Z and needs none."""
    patterns = [
        str(validator.regex.pattern).replace(r"\Z", "$")
        for validator in field.validators
        if isinstance(validator, validate.Regexp)
    ]
    return {"pattern": patterns[0]} if patterns else {}
