"""The receiver: what it takes, what it refuses, and that nothing refused is kept."""

import io
import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from stripe import WebhookSignature
from werkzeug.test import EnvironBuilder, run_wsgi_app

from db.bodies import decompress
from db.queue.stream import STREAM
from ingest.webhook.webhook_problems import BODY_BYTES_MAX
from tests.ingest.builders import SECRET, a_body, a_signature, a_thin_body
from tests.ingest.conftest import WAYS, Stores

PATH = "/billing/stripe/webhook/"


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Everything here holds for both ways in."""
    taken: str = request.param
    return taken


def test_a_good_delivery_is_answered_before_flask_is_asked(
    client: FlaskClient, stores: Stores, way: str
) -> None:
    """Flask sees it only where nothing stands before it."""
    seen: list[str] = []
    client.application.before_request(lambda: seen.append("delivery"))
    body = a_body()
    answer = client.post(PATH, data=body, headers=a_signature(body) | {"X-Request-Id": "r-1"})
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.headers["X-Request-Id"] == "r-1"
    assert seen == (["delivery"] if way == "view" else [])
    assert stores.in_stream() == ["evt_1"]


def assert_refused(
    client: FlaskClient,
    stores: Stores,
    body: bytes,
    headers: dict[str, str],
    *,
    status: int,
    code: str,
) -> None:
    """The answer is this problem, and no store has been given anything."""
    answer = client.post(PATH, data=body, headers=headers)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert answer.get_json(force=True)["status"] == status
    assert stores.in_stream() == stores.in_inbox() == []


@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/")])
def test_a_signed_event_is_put_in_the_stream_and_acknowledged(
    client: FlaskClient, stores: Stores, path: str
) -> None:
    """2xx means durable, with and without the slash, and without a redirect."""
    body = a_body()
    answer = client.post(path, data=body, headers=a_signature(body))
    assert (answer.status_code, answer.get_json()) == (200, {"received": True})
    assert stores.in_stream() == ["evt_1"]
    assert stores.in_inbox() == []


def test_what_is_stored_is_what_stripe_signed_byte_for_byte(
    client: FlaskClient, stores: Stores
) -> None:
    """Spaces, order and escapes of the body survive, so a replay sees what was signed."""
    body = b' {"type" : "x.y", "id":"evt_9", "created":1,\n "data":{"object":{"n":"\\u00e9"}}}'
    assert client.post(PATH, data=body, headers=a_signature(body)).status_code == 200
    [(_, fields)] = stores.redis.xrange(STREAM)
    assert decompress(fields[b"body"]) == body
    assert (fields[b"id"], fields[b"type"], fields[b"created"]) == (b"evt_9", b"x.y", b"1")


def test_the_signature_is_kept_with_the_body(client: FlaskClient, stores: Stores) -> None:
    """As it came, so that the body can be proved later."""
    body = a_body()
    headers = a_signature(body)
    assert client.post(PATH, data=body, headers=headers).status_code == 200
    [(_, fields)] = stores.redis.xrange(STREAM)
    assert fields[b"sig"].decode() == headers["Stripe-Signature"]


def test_a_thin_event_is_taken_as_any_other(client: FlaskClient, stores: Stores) -> None:
    """Byte for byte, at the same address; its time is told in whole seconds."""
    body = a_thin_body()
    assert client.post(PATH, data=body, headers=a_signature(body)).status_code == 200
    [(_, fields)] = stores.redis.xrange(STREAM)
    assert decompress(fields[b"body"]) == body
    assert (fields[b"id"], fields[b"type"], fields[b"created"]) == (
        b"evt_test_1",
        b"v1.invoice.paid",
        b"1795168800",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"id": "manual_1"},
        {"type": 5},
        {"type": "fiko.tokens.adjusted"},
        {"created": None},
        {"created": 1_795_168_800},
        {"created": "yesterday"},
        {"created": "2026-11-20T10:00:00"},
        {"created": "1969-01-01T00:00:00Z"},
        {"object": "v2.core.event_destination"},
    ],
)
def test_a_thin_event_that_lacks_what_every_event_has_is_refused(
    client: FlaskClient, stores: Stores, changes: dict[str, object]
) -> None:
    """Signed for real, and still nothing that a worker could ever apply."""
    body = a_thin_body(**changes)
    assert_refused(client, stores, body, a_signature(body), status=400, code="not_an_event")


def test_a_burst_sends_one_wake_up(client: FlaskClient, stores: Stores) -> None:
    """Celery is called when this event is the first to request a wake-up, not for every event."""
    for number in range(5):
        body = a_body(id=f"evt_{number}")
        client.post(PATH, data=body, headers=a_signature(body))
    assert len(stores.in_stream()) == 5
    assert stores.wake_ups.sent == 1


def test_a_broken_broker_is_not_stripes_concern(client: FlaskClient, stores: Stores) -> None:
    """The event is stored; the sweep will find it."""
    stores.wake_ups.broken = True
    body = a_body()
    assert client.post(PATH, data=body, headers=a_signature(body)).status_code == 200


def test_an_unsigned_event_is_refused(client: FlaskClient, stores: Stores) -> None:
    """No signature, no service."""
    assert_refused(client, stores, a_body(), {}, status=400, code="signature_missing")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        "v1=abc",
        "t=1700000000",
        "t=nonsense,v1=abc",
        "t=1700000000,v0=" + "0" * 64,
        "t=1700000000,v1=" + "0" * 64,
        "t=1700000000" + ",v1=" + ",v1=".join(["0" * 64] * 1000),
        "t=" + "9" * 3000 + ",v1=abc",
    ],
)
def test_a_wrong_signature_is_refused(client: FlaskClient, stores: Stores, header: str) -> None:
    """Truncated, of another scheme, or a thousand guesses: all are 400."""
    code = "signature_invalid" if header else "signature_missing"
    headers = {"Stripe-Signature": header}
    assert_refused(client, stores, a_body(), headers, status=400, code=code)


def test_a_body_changed_after_signing_is_refused(client: FlaskClient, stores: Stores) -> None:
    """One byte more is another body."""
    headers = a_signature(a_body())
    assert_refused(client, stores, a_body() + b" ", headers, status=400, code="signature_invalid")


def test_the_signature_of_another_secret_is_refused(client: FlaskClient, stores: Stores) -> None:
    """Whoever signs must know a secret that is configured."""
    headers = a_signature(a_body(), secret="whsec_of_someone_else")
    assert_refused(client, stores, a_body(), headers, status=400, code="signature_invalid")


@pytest.mark.parametrize("age_seconds", [302, 86_400, -302, -86_400])
def test_a_timestamp_too_far_away_is_refused(
    client: FlaskClient, stores: Stores, age_seconds: int
) -> None:
    """300 s in either direction; the SDK itself would take any future."""
    headers = a_signature(a_body(), age_seconds=age_seconds)
    assert_refused(client, stores, a_body(), headers, status=400, code="signature_stale")


@pytest.mark.parametrize("age_seconds", [290, -290])
def test_a_timestamp_within_the_tolerance_is_taken(client: FlaskClient, age_seconds: int) -> None:
    """Clocks differ, and networks are slow."""
    headers = a_signature(a_body(), age_seconds=age_seconds)
    assert client.post(PATH, data=a_body(), headers=headers).status_code == 200


def test_a_signature_header_beyond_ascii_is_refused(client: FlaskClient, stores: Stores) -> None:
    """The SDK raises TypeError here, which must not become a 500."""
    headers = {"Stripe-Signature": a_signature(a_body())["Stripe-Signature"] + "é"}
    assert_refused(client, stores, a_body(), headers, status=400, code="signature_invalid")


def test_a_body_that_is_not_utf8_is_refused(client: FlaskClient, stores: Stores) -> None:
    """The SDK raises UnicodeDecodeError here, which must not become a 500."""
    headers = a_signature(a_body())
    assert_refused(client, stores, b"\xff\xfe{}", headers, status=400, code="not_an_event")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"null",
        b"[]",
        b"{}",
        b'"evt_1"',
        b'{"id": NaN}',
        b"[" * 100_000,
        json.dumps({"id": "\ud800"}).encode(),
        a_body(id=None),
        a_body(id=""),
        a_body(id=5),
        a_body(id="evt_\0"),
        a_body(id="e" * 256),
        a_body(type=None),
        a_body(type="\0"),
        a_body(created=None),
        a_body(created="1"),
        a_body(created=True),
        a_body(created=1.5),
        a_body(created=-1),
        a_body(created=2**62),
        a_body(created=2**80),
        a_body(data=None),
        a_body(data=[]),
        a_body(data={"object": None}),
        a_body(object="v2.core.event"),
        a_body().replace(b"in_1", b"\\ud800"),
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(
    client: FlaskClient, stores: Stores, body: bytes
) -> None:
    """Signed for real, and still nothing that a worker could ever apply."""
    assert_refused(client, stores, body, a_signature(body), status=400, code="not_an_event")


@pytest.mark.parametrize(
    "changes",
    [{"id": "manual_1"}, {"id": "fetched_evt_1"}, {"type": "fiko.tokens.adjusted"}],
)
def test_nobody_speaks_for_us_from_outside(
    client: FlaskClient, stores: Stores, changes: dict[str, str]
) -> None:
    """Ids and types that only we give are refused, whoever signed them."""
    body = a_body(**changes)
    assert_refused(client, stores, body, a_signature(body), status=400, code="not_an_event")


@pytest.mark.parametrize("excess", [1, 2, 100_000])
def test_a_body_over_the_limit_is_refused_by_its_length(
    client: FlaskClient, stores: Stores, excess: int
) -> None:
    """One byte over 1 MiB is too much, however well it is signed."""
    body = a_body(pad="x" * (BODY_BYTES_MAX + excess))[: BODY_BYTES_MAX + excess]
    assert_refused(client, stores, body, a_signature(body), status=413, code="too_large")


def test_a_body_of_unknown_length_over_the_limit_is_refused(
    client: FlaskClient, stores: Stores
) -> None:
    """Chunked bodies do not tell their length, and are cut off one byte past the limit."""
    body = a_body(pad="x" * BODY_BYTES_MAX)
    environ = EnvironBuilder(
        PATH, method="POST", headers=list(a_signature(body).items())
    ).get_environ()
    environ.pop("CONTENT_LENGTH", None)
    environ |= {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    answer, status, _ = run_wsgi_app(client.application, environ)
    assert status.startswith("413")
    assert json.loads(b"".join(answer))["code"] == "too_large"
    assert stores.in_stream() == stores.in_inbox() == []


def test_the_largest_body_allowed_is_taken(client: FlaskClient, stores: Stores) -> None:
    """1 MiB is not over 1 MiB."""
    empty = a_body(pad="")
    body = a_body(pad="x" * (BODY_BYTES_MAX - len(empty)))
    assert len(body) == BODY_BYTES_MAX
    assert client.post(PATH, data=body, headers=a_signature(body)).status_code == 200
    assert stores.in_stream() == ["evt_1"]


def test_an_unknown_type_is_taken_like_any_other(client: FlaskClient, stores: Stores) -> None:
    """What it means is a worker's concern."""
    body = a_body(type="something.new")
    assert client.post(PATH, data=body, headers=a_signature(body)).status_code == 200
    assert stores.in_stream() == ["evt_1"]


def test_both_secrets_are_accepted_during_rotation(
    client_of: Callable[..., FlaskClient],
) -> None:
    """Old or new, until the old one is taken out."""
    client = client_of(STRIPE_WEBHOOK_SECRET="whsec_new, whsec_old")
    body = a_body()
    answers = [
        client.post(PATH, data=body, headers=a_signature(body, secret=secret)).status_code
        for secret in ("whsec_new", "whsec_old", SECRET)
    ]
    assert answers == [200, 200, 400]


def test_one_matching_signature_of_several_is_enough(client: FlaskClient) -> None:
    """While a secret is rolled Stripe signs once with each."""
    header = a_signature(a_body())["Stripe-Signature"]
    timestamp, good = header.split(",")
    headers = {"Stripe-Signature": f"{timestamp},v1={'0' * 64},{good}"}
    assert client.post(PATH, data=a_body(), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"STRIPE_ENABLED": "False"}, "stripe_disabled"),
        ({"STRIPE_WEBHOOK_SECRET": ""}, "webhook_secret_missing"),
    ],
)
def test_without_stripe_or_a_secret_nothing_is_taken(
    client_of: Callable[..., FlaskClient], stores: Stores, variables: dict[str, str], code: str
) -> None:
    """Failing closed, and saying when to come back."""
    client = client_of(**variables)
    answer = client.post(PATH, data=a_body(), headers=a_signature(a_body()))
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (503, code)
    assert int(answer.headers["Retry-After"]) > 0
    assert stores.in_stream() == stores.in_inbox() == []


def test_without_redis_the_inbox_takes_the_event(client: FlaskClient, stores: Stores) -> None:
    """Accepting survives the loss of Redis."""
    stores.server.connected = False
    answer = client.post(PATH, data=a_body(), headers=a_signature(a_body()))
    assert answer.status_code == 200
    assert stores.in_inbox() == ["evt_1"]


def test_without_any_store_stripe_is_told_to_try_again(client: FlaskClient, stores: Stores) -> None:
    """Never a 2xx for what was not stored."""
    stores.server.connected = False
    stores.inbox.refuses = True
    answer = client.post(PATH, data=a_body(), headers=a_signature(a_body()))
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (503, "not_stored")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_signature_is_checked_before_the_body_is_understood(
    client: FlaskClient, stores: Stores
) -> None:
    """A stranger learns nothing about what bodies are taken for events."""
    header = WebhookSignature.generate_signature_header("garbage", "whsec_of_someone_else")
    headers = {"Stripe-Signature": header}
    assert_refused(client, stores, b"garbage", headers, status=400, code="signature_invalid")
