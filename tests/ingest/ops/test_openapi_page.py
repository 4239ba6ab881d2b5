"""The page at /docs/: served from here, and asking nobody else for anything."""

import hashlib
import re

import pytest
from flask.testing import FlaskClient

from ingest.ops import api_reader

# Written into pages and styles as names, never fetched.
NAMES = ("http://www.w3.org/",)


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_page_is_served_with_and_without_the_slash(client: FlaskClient, path: str) -> None:
    """Neither redirects."""
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")


def test_everything_the_page_names_is_served(client: FlaskClient) -> None:
    """Styles, scripts and icons, each from this host."""
    named = re.findall(r'(?:src|href)="([^"]+)"', client.get("/docs/").text)
    found = [path for path in named if path != "data:,"]
    assert len(found) >= 4
    for path in found:
        assert path.startswith(("/docs/", "/openapi.json"))
        with client.get(path) as answer:
            assert answer.status_code == 200


def test_the_page_loads_our_document_and_asks_nobody_else(client: FlaskClient) -> None:
    """What it is told by us; nothing of the request is repeated in it."""
    page = client.get("/docs/", headers={"Host": "evil.example"}).text
    assert 'data-document="/openapi.json"' in page
    assert "evil.example" not in page
    outside = [
        url for url in re.findall(r"https?://[^\s\"'<>]+", page) if not url.startswith(NAMES)
    ]
    assert outside == []


def test_redoc_is_what_was_looked_at_and_has_its_license(client: FlaskClient) -> None:
    """Byte for byte, and without the logo that it would fetch from its makers."""
    with client.get("/docs/redoc.standalone.js") as answer:
        script = answer.get_data()
    assert hashlib.sha256(script).hexdigest() == api_reader.REDOC_SHA256
    assert b"cdn.redoc.ly" not in script
    with client.get("/docs/redoc.LICENSE") as answer:
        assert b"MIT License" in answer.get_data()


def test_the_browser_is_told_to_ask_nobody_else(client: FlaskClient) -> None:
    """By a policy on the page and on everything it loads."""
    for path in ("/docs/", "/docs/redoc.standalone.js"):
        with client.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self';")
        assert "http" not in policy


def test_a_file_that_is_not_there_is_a_problem(client: FlaskClient) -> None:
    """As anywhere else, and no file outside the page's own is given out."""
    for path in ("/docs/nothing.js", "/docs/../pyproject.toml", "/docs/%2e%2e/__init__.py"):
        answer = client.get(path)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
