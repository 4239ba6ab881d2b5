"""What Prometheus is told: counts of requests and events, and the state of both queues."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from db.engine import make_engine
from db.queue.heartbeat import Heartbeat
from db.queue.stream import connect
from ingest.app import create_app
from ingest.context import open_context
from settings import Settings
from tests.ingest.builders import a_body, a_signature, a_token, as_user
from tests.ingest.conftest import Stores
from tests.pipeline import a_delivery, a_worker_context
from tests.stripe_objects import an_event

PATH = "/billing/stripe/webhook/"

Sample = tuple[str, frozenset[tuple[str, str]]]
Samples = dict[Sample, float]


def a_sample(name: str, **labels: str) -> Sample:
    """The key of one series."""
    return name, frozenset(labels.items())


def told(client: FlaskClient) -> Samples:
    """Every series that the endpoint tells."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.get_data(as_text=True))
        for sample in family.samples
    }


def growth(client: FlaskClient, act: Callable[[], object], sample: Sample) -> float:
    """By how much a count grows while something is done."""
    before = told(client).get(sample, 0.0)
    act()
    return told(client).get(sample, 0.0) - before


def send(client: FlaskClient, **changes: Any) -> int:
    """The status of the answer to a signed event."""
    body = a_body(**changes)
    return client.post(PATH, data=body, headers=a_signature(body)).status_code


@pytest.fixture(autouse=True)
def _nothing_to_read(stores: Stores) -> None:
    """The stand-in for the inbox takes events and cannot be asked about them."""

    def refuse() -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    stores.inbox.connect = refuse  # type: ignore[attr-defined] # Reads connect, the inbox begins.


def test_a_stored_event_is_counted_by_type_and_by_the_way_it_took(
    client_of: Callable[..., FlaskClient], stores: Stores
) -> None:
    """The stream first; the inbox when Redis is away."""
    client = client_of()
    for connected, intake in ((True, "stream"), (False, "inbox")):
        stores.server.connected = connected
        sample = a_sample("billing_events_received_total", type="invoice.paid", intake=intake)
        assert growth(client, lambda: send(client), sample) == 1


def test_a_refused_delivery_is_counted_by_its_code(client: FlaskClient) -> None:
    """Whoever is alerted sees at once which of our doors is shut."""
    sample = a_sample("billing_webhooks_refused_total", code="signature_missing")
    assert growth(client, lambda: client.post(PATH, data=a_body()), sample) == 1
    too_large = a_sample("billing_webhooks_refused_total", code="too_large")
    assert growth(client, lambda: client.post(PATH, data=b"x" * 2_000_000), too_large) == 1


def test_requests_are_counted_by_rule_and_never_by_what_was_asked(client: FlaskClient) -> None:
    """A scan of a million addresses is one series."""
    sample = a_sample("billing_http_request_duration_seconds_count", route="none", status="4xx")
    assert growth(client, lambda: client.get("/secret/path"), sample) == 1
    assert "secret/path" not in client.get("/metrics").get_data(as_text=True)


def test_no_user_and_no_id_is_a_label(client: FlaskClient) -> None:
    """Numbers about people are not for everyone who may read numbers."""
    send(client, id="evt_private")
    client.get("/billing/config/", headers=as_user("user_private"))
    text_ = client.get("/metrics").get_data(as_text=True)
    for private in ("private", a_token(), "whsec_"):
        assert private not in text_


def test_without_the_stores_the_rest_is_told(client: FlaskClient, stores: Stores) -> None:
    """And that they are down; numbers that nobody knows are left out, not zero."""
    stores.server.connected = False
    found = told(client)
    assert found[a_sample("billing_store_up", store="redis")] == 0
    assert found[a_sample("billing_store_up", store="database")] == 0
    names = {name for name, _ in found}
    assert "billing_http_request_duration_seconds_count" in names
    assert not names & {"billing_lag_seconds", "billing_queue_depth"}


@pytest.fixture
def client_on(
    configured: Callable[..., Settings], database_url: str, redis_url: str
) -> FlaskClient:
    """A client of a receiver on real stores, both empty."""
    with make_engine(database_url).begin() as connection:
        connection.execute(text("TRUNCATE webhook_events, paused_types, subscriptions, questions"))
    connect(redis_url).flushdb()
    found = configured(DATABASE_URL=database_url, REDIS_URL=redis_url)
    return create_app(found, opened=open_context(found)).test_client()


def keep(database_url: str, event_id: str, status: str, *, age: int, due_in: int | None) -> None:
    """Put an event into the inbox that was received `age` seconds ago."""
    statement = text(
        "INSERT INTO webhook_events (id, type, created_at, status, body, source, received_at,"
        " next_attempt_at) VALUES (:id, 'invoice.paid', now(), :status, '', 'webhook',"
        " now() - :age * interval '1 second', now() + :due * interval '1 second')"
    )
    values = {"id": event_id, "status": status, "age": age, "due": due_in}
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(statement, values)
    engine.dispose()


def test_empty_queues_are_zero(client_on: FlaskClient) -> None:
    """No alert for a quiet product; a heartbeat that never was is not told."""
    found = told(client_on)
    assert found[a_sample("billing_queue_depth", queue="stream")] == 0
    assert found[a_sample("billing_queue_depth", queue="inbox")] == 0
    assert found[a_sample("billing_lag_seconds")] == 0
    assert found[a_sample("billing_oldest_unapplied_age_seconds")] == 0
    assert a_sample("billing_scheduler_heartbeat_timestamp_seconds") not in found


def test_what_waits_is_told_with_its_age(
    client_on: FlaskClient, database_url: str, redis_url: str
) -> None:
    """A later retry is old but not overdue; what is dead is told apart."""
    keep(database_url, "evt_due", "received", age=50, due_in=-40)
    keep(database_url, "evt_later", "failed", age=900, due_in=600)
    keep(database_url, "evt_dead", "dead", age=90_000, due_in=None)
    context = a_worker_context(database_url, redis_url)
    context.events.put(a_delivery(an_event("ping", {})))
    Heartbeat(connect(redis_url)).beat()
    found = told(client_on)
    assert found[a_sample("billing_queue_depth", queue="stream")] == 1
    assert found[a_sample("billing_queue_depth", queue="inbox")] == 2
    for status in ("received", "failed", "dead"):
        assert found[a_sample("billing_events_unapplied", status=status)] == 1
    assert 900 <= found[a_sample("billing_oldest_unapplied_age_seconds")] < 960
    assert 40 <= found[a_sample("billing_lag_seconds")] < 100
    now = time.time()
    for name in ("billing_newest_event", "billing_scheduler_heartbeat"):
        assert now - 60 < found[a_sample(f"{name}_timestamp_seconds")] <= now
    context.engine.dispose()


def test_what_is_to_be_asked_of_stripe_is_told(client_on: FlaskClient, database_url: str) -> None:
    """A question that was answered in vain waits, but Stripe is not what it waits for."""
    found = told(client_on)
    assert found[a_sample("billing_questions", state="waiting")] == 0
    assert found[a_sample("billing_oldest_question_age_seconds")] == 0
    with make_engine(database_url).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO subscriptions (id, undecided, updated_at)"
                " SELECT id, true, now() - age FROM (VALUES ('sub_new', interval '70 s'),"
                " ('sub_asked', '9000 s'), ('sub_left', '9000 s')) AS new (id, age)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO questions (kind, subject_id, asks, last_asked_at, next_ask_at,"
                " last_answer, given_up_at) SELECT 'subscription', id, 1, now(), now(), 'no', at"
                " FROM (VALUES ('sub_asked', NULL), ('sub_left', now())) AS new (id, at)"
            )
        )
    found = told(client_on)
    assert found[a_sample("billing_questions", state="waiting")] == 2
    assert found[a_sample("billing_questions", state="given_up")] == 1
    assert 70 <= found[a_sample("billing_oldest_question_age_seconds")] < 130


def test_a_paused_type_is_not_overdue(client_on: FlaskClient, database_url: str) -> None:
    """Its events wait because a person wants them to."""
    keep(database_url, "evt_due", "received", age=50, due_in=-40)
    with make_engine(database_url).begin() as connection:
        connection.execute(
            text("INSERT INTO paused_types (type, paused_by) VALUES ('invoice.paid', 'me')")
        )
    found = told(client_on)
    assert found[a_sample("billing_lag_seconds")] == 0
    assert found[a_sample("billing_oldest_unapplied_age_seconds")] >= 50
