"""The receiver as a whole: addresses, errors, origins, what anyone may ask, what is logged."""

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

import telemetry
from db.queue.stream import EventStream
from tests.ingest.builders import a_body, a_signature, as_user
from tests.ingest.conftest import WAYS, Stores

READS = [
    "/billing/plans/full/",
    "/billing/plans/token/",
    "/billing/subscriptions/",
    "/billing/payments/",
    "/billing/tokens/",
    "/billing/tokens/ledger/",
]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Everything here holds for both ways in."""
    taken: str = request.param
    return taken


def code_of(client: FlaskClient, method: str, path: str, **request: object) -> tuple[int, str]:
    """The status and code of an answer that must be a problem."""
    answer = client.open(path, method=method, **request)  # type: ignore[arg-type] # Any of Flask's own.
    assert answer.content_type == "application/problem+json"
    problem = json.loads(answer.data)
    assert set(problem) >= {"type", "title", "status", "detail", "code"}
    assert problem["status"] == answer.status_code
    return answer.status_code, problem["code"]


@pytest.mark.parametrize("path", READS)
def test_nobody_reads_without_a_token(client: FlaskClient, path: str) -> None:
    """Neither with the slash nor without, and before any input is looked at."""
    assert code_of(client, "GET", path) == (401, "not_authenticated")
    assert code_of(client, "GET", path.rstrip("/")) == (401, "not_authenticated")
    assert code_of(client, "GET", f"{path}?limit=nonsense") == (401, "not_authenticated")


@pytest.mark.parametrize("path", READS)
def test_without_a_database_reads_say_when_to_come_back(
    client_of: Callable[..., FlaskClient], stores: Stores, path: str
) -> None:
    """503, not 500: it is not the caller's fault and it will pass."""
    stores.inbox.connect = stores.inbox.begin  # type: ignore[attr-defined] # Reads connect, the inbox begins.
    stores.inbox.refuses = True
    client = client_of()
    assert code_of(client, "GET", path, headers=as_user()) == (503, "database_unavailable")
    assert "Retry-After" in client.get(path, headers=as_user()).headers


def test_errors_of_the_framework_are_problems_too(client: FlaskClient) -> None:
    """Unknown addresses and wrong methods, with and without the slash."""
    assert code_of(client, "GET", "/nothing/here") == (404, "not_found")
    assert code_of(client, "GET", "/billing//config/") == (404, "not_found")
    for path in ("/billing/stripe/webhook/", "/billing/stripe/webhook"):
        assert code_of(client, "GET", path) == (405, "method_not_allowed")
        assert "POST" in client.get(path).headers["Allow"]


def test_a_bug_is_a_problem_that_tells_nothing(
    client: FlaskClient,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller learns that it failed; the log learns why."""
    telemetry.configure("json", "test")
    monkeypatch.delattr(EventStream, "put_each")
    request = {"data": a_body(), "headers": a_signature(a_body())}
    found = code_of(client, "POST", "/billing/stripe/webhook/", **request)
    assert found == (500, "internal_error")
    assert "AttributeError" in capsys.readouterr().err


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=-1", "limit=1.5"])
def test_a_limit_outside_1_to_200_is_refused(client: FlaskClient, query: str) -> None:
    """And the answer says which input was wrong."""
    path = f"/billing/payments/?{query}"
    assert code_of(client, "GET", path, headers=as_user()) == (422, "invalid_input")
    problem = json.loads(client.get(path, headers=as_user()).data)
    assert "limit" in problem["errors"]["query"]


@pytest.mark.parametrize("path", ["/billing/config/", "/billing/config"])
def test_the_configuration_is_public(client_of: Callable[..., FlaskClient], path: str) -> None:
    """What a frontend needs, and no secret."""
    client = client_of(STRIPE_PUBLISHABLE_KEY="pk_test_1", STRIPE_CURRENCY="eur")
    assert client.get(path).get_json() == {
        "publishable_key": "pk_test_1",
        "currency": "eur",
        "test_mode": True,
        "enabled": True,
    }


def test_being_alive_depends_on_nothing(client: FlaskClient, stores: Stores) -> None:
    """A restart would not bring a database back."""
    stores.server.connected = False
    stores.inbox.refuses = True
    assert client.get("/healthz").status_code == 200


def test_one_durable_store_is_enough_to_be_ready(
    client_of: Callable[..., FlaskClient], stores: Stores
) -> None:
    """Degraded, and it says what is missing; with neither store it is not ready."""
    stores.inbox.connect = stores.inbox.begin  # type: ignore[attr-defined] # Reads connect, the inbox begins.
    stores.inbox.refuses = True
    client = client_of()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "degraded")
    assert answer.get_json()["dependencies"]["database"]["ok"] is False
    assert answer.get_json()["dependencies"]["redis"] == {"ok": True, "why": "Redis answers"}
    stores.server.connected = False
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "not_ready")


def test_only_listed_origins_may_read_from_a_browser(
    client_of: Callable[..., FlaskClient],
) -> None:
    """Answers to others carry no permission."""
    client = client_of(CORS_ORIGINS="https://app.example.com")
    asked = {"Access-Control-Request-Method": "GET"}
    for origin, allowed in (
        ("https://app.example.com", "https://app.example.com"),
        ("https://app.example.com.evil.example", None),
        ("https://evil.example", None),
    ):
        answer = client.options("/billing/tokens/", headers=asked | {"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers.get("Access-Control-Allow-Origin") in (allowed, None)
        if allowed:
            assert answer.headers["Access-Control-Allow-Origin"] == allowed


def test_a_request_id_is_kept_or_made(client: FlaskClient) -> None:
    """A good one ties two logs together; a bad one must not get into ours."""
    given = client.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"]
    made = client.get("/healthz", headers={"X-Request-Id": "a b\tc"}).headers["X-Request-Id"]
    assert given == "abc-1"
    assert len(made) == 32


def test_each_request_is_one_line_without_anything_personal(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was asked and how it went; never who, nor with what."""
    telemetry.configure("json", "web")
    body = a_body(data={"object": {"email": "someone@example.com"}})
    headers = a_signature(body) | as_user("user_secret")
    client.post("/billing/stripe/webhook/?x=private", data=body, headers=headers)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [line] = [line for line in lines if line["event"] == "request answered"]
    assert (line["method"], line["path"]) == ("POST", "/billing/stripe/webhook/")
    assert (line["status"], line["process"], line["level"]) == (200, "web", "info")
    assert (line["event_id"], line["event_type"]) == ("evt_1", "invoice.paid")
    assert line["duration_ms"] >= 0
    for private in ("someone@example.com", "user_secret", "private", headers["Stripe-Signature"]):
        assert private not in json.dumps(lines)


def test_the_openapi_document_lists_every_address(client: FlaskClient) -> None:
    """With the security each of them needs."""
    document = client.get("/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) >= {*READS, "/billing/stripe/webhook/", "/billing/config/"}
    for path in READS:
        assert document["paths"][path]["get"]["security"] == [{"bearer": []}]
