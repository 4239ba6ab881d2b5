"""The page at /docs/ that shows the OpenAPI document; everything it loads comes from here.

`reader/` holds Redoc, as npm has it but for the address of its logo, which was on another host.
"""

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

from ingest.http.problems import Problem

PATH = "/docs"
# Redoc 2.5.0, MIT: `bundles/redoc.standalone.js` with `https://cdn.redoc.ly/redoc/logo-mini.svg`
# replaced by `data:,`. A test holds this digest.
REDOC_SHA256 = "08517fda165488ed7f72b0162ebbe3d24eb5798d53c3efefd189fc533e982909"

_FOLDER = Path(__file__).with_name("reader")
_FILES = frozenset({"page.css", "redoc.LICENSE", "redoc.standalone.js", "start.js"})
# Redoc styles what it draws, and searches in a worker of its own making; no other host is asked.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:;"
    " img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def blueprint() -> Blueprint:
    """The page and its files."""
    pages = Blueprint("docs", __name__, url_prefix=PATH)
    page = (_FOLDER / "page.html").read_bytes()
    pages.add_url_rule("/", "page", lambda: Response(page, mimetype="text/html"))
    pages.add_url_rule("/<name>", "file", _file)
    pages.after_request(_add_headers)
    return pages


def _file(name: str) -> Response:
    if name not in _FILES:
        raise Problem(404, "not_found", "There is nothing at this address.")
    return send_from_directory(_FOLDER, name)


def _add_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
