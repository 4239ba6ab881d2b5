"""The page at /demo/: whom it gives a token, what it serves, and that production has none of it."""

import re
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import settings
from ingest.app import create_app
from sandbox.demo import demo_pages

ROOT = Path(__file__).resolve().parents[2]
LOCAL = "http://127.0.0.1:8000"
SECRET = "a secret of thirty-two bytes or more"
ENVIRON = {
    # Nothing is asked of either: they are named because an app without them does not start.
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "JWT_SECRET": SECRET,
    "BILLING_DATA": "/nonexistent",
}


def app_with(**environ: str) -> Flask:
    """The product's app with the page, as the WSGI entry of development makes it."""
    configured = settings.load(environ={**ENVIRON, **environ})
    app = create_app(configured)
    app.register_blueprint(demo_pages(configured))
    return app


@pytest.fixture
def client() -> FlaskClient:
    """Someone who looks at the page."""
    return app_with().test_client()


def ask_token(client: FlaskClient, user: object, origin: str = LOCAL) -> TestResponse:
    """Ask for a token as the page does."""
    return client.post(
        "/demo/token", json={"user": user}, base_url=LOCAL, headers={"Origin": origin}
    )


def test_a_token_names_the_user_and_may_debit(client: FlaskClient) -> None:
    """It is signed with the configured secret and is over within a day."""
    answer = ask_token(client, "  ada  ")
    claims = jwt.decode(answer.get_json()["token"], SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["scope"]) == ("ada", "tokens:debit")
    assert 0 < claims["exp"] - claims["iat"] <= 86_400


def test_audience_and_issuer_are_those_that_the_api_asks_for() -> None:
    """A token of the page passes the product's own check."""
    client = app_with(JWT_AUDIENCE="billing", JWT_ISSUER="us").test_client()
    token = ask_token(client, "ada").get_json()["token"]
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="billing", issuer="us")
    assert claims["sub"] == "ada"


@pytest.mark.parametrize("user", ["", "   ", "x" * 65, "a\0b", None, 7, ["ada"]])
def test_a_user_without_a_proper_name_gets_no_token(client: FlaskClient, user: object) -> None:
    """The problem says what a name is."""
    answer = ask_token(client, user)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"ada"'])
def test_a_body_that_names_nobody_gets_no_token(client: FlaskClient, body: bytes) -> None:
    """Whatever is sent, the answer is a problem."""
    answer = client.post("/demo/token", data=body, base_url=LOCAL, content_type="application/json")
    assert answer.status_code == 422


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "null"])
def test_a_page_of_another_origin_gets_no_token(client: FlaskClient, origin: str) -> None:
    """Else any page in the developer's browser could act as any user."""
    answer = ask_token(client, "ada", origin)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "foreign_page")


def test_a_foreign_name_for_this_machine_gets_no_token(client: FlaskClient) -> None:
    """A name that was made to point here is not this machine's own."""
    answer = client.post("/demo/token", json={"user": "ada"}, base_url="http://rebound.example")
    assert answer.status_code == 403


def test_where_another_issuer_signs_the_page_says_so() -> None:
    """With a key set configured, a token of ours would be refused anyway."""
    client = app_with(JWT_JWKS_URL="https://issuer.example/jwks").test_client()
    answer = ask_token(client, "ada")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "demo_needs_jwt_secret")


def test_the_page_loads_its_own_files_and_nothing_else(client: FlaskClient) -> None:
    """Every file it names is served here, under a policy that allows no other place."""
    for path in ("/demo/", "/demo"):
        page = client.get(path, base_url=LOCAL)
        assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    names = set(re.findall(r'(?:href|src)="(/demo/[^"]+)"', page.text))
    assert len(names) >= 4
    for name in names | {"/demo/assets/api.js", "/demo/assets/draw.js"}:
        with client.get(name, base_url=LOCAL) as file:
            assert file.status_code == 200, name


def test_only_shared_files_are_shared(client: FlaskClient) -> None:
    """The folder they come from is not open as a whole."""
    assert client.get("/demo/shared/hosted.js", base_url=LOCAL).status_code == 404
    assert client.get("/demo/shared/..%2f__init__.py", base_url=LOCAL).status_code == 404


@pytest.mark.parametrize(
    ("base", "shown"), [("http://127.0.0.1:8001", True), ("https://stripe.example", False)]
)
def test_the_offline_stripe_is_pointed_to_where_there_is_one(base: str, shown: bool) -> None:  # noqa: FBT001 - a case of the table.
    """The page links to its dashboard, and only to one on this machine."""
    page = app_with(STRIPE_API_BASE=base).test_client().get("/demo/", base_url=LOCAL)
    assert (f'href="{base}/"' in page.text) is shown


def test_production_has_no_such_page() -> None:
    """The production entry serves nothing at /demo/ and imports nothing of this room."""
    code = (
        "import sys, wsgi; client = wsgi.app.test_client();"
        "print(client.get('/demo/').status_code, client.post('/demo/token').status_code,"
        " any(name.partition('.')[0] == 'dev' for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**ENVIRON, "PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["404", "404", "False"]


def test_the_root_leads_to_the_shop(client: FlaskClient) -> None:
    """Whoever knows the port alone types no more; production has nothing there."""
    answer = client.get("/", base_url=LOCAL)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/demo/")
