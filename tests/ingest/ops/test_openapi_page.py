"""The page at /docs/: served from here, and asking nobody else for anything."""

import json
import re

import pytest
from flask.testing import FlaskClient

# Written into pages and styles as names, never fetched.
NAMES = ("http://www.w3.org/",)


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_page_is_served_with_and_without_the_slash(client: FlaskClient, path: str) -> None:
    """Neither redirects."""
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")


def test_everything_the_page_names_is_served(client: FlaskClient) -> None:
    """Styles, scripts and icons, each from this host."""
    found = re.findall(r'(?:src|href)="([^"]+)"', client.get("/docs/").text)
    assert len(found) >= 4
    for path in found:
        assert path.startswith("/docs/")
        with client.get(path) as answer:
            assert answer.status_code == 200


def test_the_page_loads_our_document_and_calls_no_validator(client: FlaskClient) -> None:
    """What it is told by us; nothing of the request is repeated in it."""
    page = client.get("/docs/", headers={"Host": "evil.example"}).text
    told = re.search(r"user_config = (\{.*\});", page)
    assert told
    options = json.loads(told[1])
    assert (options["url"], options["validatorUrl"]) == ("/openapi.json", None)
    assert "evil.example" not in page
    outside = [
        url for url in re.findall(r"https?://[^\s\"'<>]+", page) if not url.startswith(NAMES)
    ]
    assert outside == []


def test_the_browser_is_told_to_ask_nobody_else(client: FlaskClient) -> None:
    """By a policy on the page and on everything it loads."""
    for path in ("/docs/", "/docs/swagger-ui-bundle.js"):
        with client.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self';")
        assert "http" not in policy


def test_a_file_that_is_not_there_is_a_problem(client: FlaskClient) -> None:
    """As anywhere else, and no file outside the page's own is given out."""
    for path in ("/docs/nothing.js", "/docs/../pyproject.toml", "/docs/%2e%2e/__init__.py"):
        answer = client.get(path)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
