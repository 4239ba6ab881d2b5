"""The page at /docs/ that shows the OpenAPI document; everything it loads comes from here."""

from flask import Blueprint, Response
from flask_swagger_ui import get_swaggerui_blueprint

from ingest.http import openapi

PATH = "/docs"

_OPTIONS = {
    "app_name": "Fiko Billing API",
    # Else the page would send its address to a validator on another host.
    "validatorUrl": None,
    # Else the page would repeat the Host header, which is the caller's to choose.
    "oauth2RedirectUrl": None,
    "displayOperationId": True,
    "defaultModelsExpandDepth": 0,
    "tryItOutEnabled": True,
    # Without the bar on top that loads documents from elsewhere.
    "layout": "BaseLayout",
}
# The page starts with a script of its own in its text; nothing on another host is ever asked.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def blueprint() -> Blueprint:
    """The page and its files, out of the installed package."""
    page: Blueprint = get_swaggerui_blueprint(PATH, openapi.PATH, config=_OPTIONS)
    page.after_request(_add_headers)
    return page


def _add_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
