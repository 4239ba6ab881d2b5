"""The OpenAPI document: what apispec makes of the routes, in our terms."""

import json
from collections.abc import Iterable
from functools import cache, partial
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response
from marshmallow import fields, validate

from ingest.http.routes import Routes

DESCRIPTION = """\
Subscriptions and token balances that follow Stripe.

Times are ISO 8601 in UTC. Money is whole numbers of minor units with a `currency`. Lists come in
pages: pass `next_cursor` as `cursor` until it is null. Errors are `application/problem+json`; tell
them apart by `code`. The user is always the one the bearer token names.
"""
PATH = "/openapi.json"
# In the form of SPDX, for generators of clients that take no license without one.
LICENSE = {"name": "Proprietary", "identifier": "LicenseRef-Proprietary"}

_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token whose `sub` is the user; scopes in `scope`.",
}


def document(groups: Iterable[Routes]) -> str:
    """The document of these groups of views, as JSON."""
    marshmallow = MarshmallowPlugin()
    spec = APISpec(
        title="Fiko Billing",
        version="1",
        openapi_version="3.1.0",
        plugins=[marshmallow],
        # As `pyproject.toml` says; a test compares them.
        info={"description": DESCRIPTION, "license": LICENSE},
        servers=[{"url": "/", "description": "Where this document comes from."}],
        components={"securitySchemes": {"bearer": _BEARER}},
    )
    assert marshmallow.converter is not None, "APISpec makes it"
    marshmallow.converter.add_attribute_function(_pattern)  # type: ignore[no-untyped-call]
    for group in groups:
        for path in group.paths:
            spec.path(**path)
        spec.tag(group.tag)
    return json.dumps(spec.to_dict(), indent=2)


def serve(app: Flask, groups: Iterable[Routes]) -> None:
    """Answer with the document of these groups at /openapi.json; made when it is first asked for.

    Hardly anybody asks, and to make it takes longer than all else of an application.
    """
    text = cache(partial(document, tuple(groups)))
    app.add_url_rule(PATH, "openapi", lambda: Response(text(), mimetype="application/json"))


def _pattern(_converter: object, field: fields.Field[Any], **_told: object) -> dict[str, str]:
    r"""A field's pattern in the dialect of JSON Schema, which knows no \Z and needs none."""
    patterns = [
        str(validator.regex.pattern).replace(r"\Z", "$")
        for validator in field.validators
        if isinstance(validator, validate.Regexp)
    ]
    return {"pattern": patterns[0]} if patterns else {}
