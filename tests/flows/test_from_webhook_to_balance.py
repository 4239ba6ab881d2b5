"""Signed bytes in, HTTP answers out: receiver, Redis, worker code, PostgreSQL, read endpoints.

Everything is real but the network between Stripe and us and the Celery process.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient

import settings
from ingest.app import create_app
from tests.ingest.builders import ENVIRONMENT, a_signature, as_user
from tests.pipeline import a_worker_context, empty, empty_redis, sell
from tests.play import CATALOGUE
from tests.stripe_objects import (
    NEW,
    OLD,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
    an_invoice_payment,
)
from workers.context import WorkerContext
from workers.pipeline.drain import drain

WEBHOOK = "/billing/stripe/webhook/"


@dataclass(frozen=True)
class Shop:
    """The product, from both of its ends."""

    client: FlaskClient
    context: WorkerContext

    def deliver(self, event: Mapping[str, Any]) -> int:
        """Post an event as Stripe would; returns the status of the answer."""
        body = json.dumps(event).encode()
        return self.client.post(WEBHOOK, data=body, headers=a_signature(body)).status_code

    def happen(self, *events: Mapping[str, Any]) -> None:
        """Deliver events, and let a worker apply them."""
        assert [self.deliver(event) for event in events] == [200] * len(events)
        drain(self.context, lambda: None)

    def get(self, path: str, user: str = "user_1") -> Any:
        """What a user sees."""
        answer = self.client.get(path, headers=as_user(user))
        assert answer.status_code == 200, answer.text
        return answer.get_json()


@pytest.fixture(scope="module")
def make_shop(database_url: str, redis_url: str) -> Iterator[Callable[[], Shop]]:
    """Makes a shop on the module's engines, with the test catalogue."""
    environment = ENVIRONMENT | {
        "DATABASE_URL": database_url.replace("+psycopg2", ""),
        "REDIS_URL": redis_url,
    }
    found = settings.load(environ=environment)
    context = a_worker_context(database_url, redis_url)
    sell(context.engine, CATALOGUE)
    app = create_app(found)

    def make() -> Shop:
        empty(context.engine)
        empty_redis(redis_url)
        return Shop(app.test_client(), context)

    yield make
    context.engine.dispose()


@pytest.fixture
def shop(make_shop: Callable[[], Shop]) -> Shop:
    """A shop where nothing has happened yet."""
    return make_shop()


def test_a_package_becomes_a_payment_tokens_and_a_ledger_entry(shop: Shop) -> None:
    """One purchase, seen from all four sides."""
    event = an_event("checkout.session.completed", a_session())
    shop.happen(event)
    assert shop.get("/billing/tokens/")["balance"] == 1_000
    [payment] = shop.get("/billing/payments/")["items"]
    assert payment["id"] == "cs_1"
    assert (payment["amount"], payment["currency"], payment["status"]) == (500, "usd", "paid")
    assert (payment["plan_id"], payment["plan_type"], payment["tokens"]) == (4, "token", 1_000)
    [entry] = shop.get("/billing/tokens/ledger/")["items"]
    assert (entry["delta"], entry["kind"], entry["balance_after"]) == (1_000, "grant", 1_000)
    assert (entry["payment_id"], entry["event_id"]) == ("cs_1", event["id"])


@pytest.mark.parametrize("shape", [OLD, NEW])
def test_a_subscription_is_shown_as_stripe_last_said(shop: Shop, shape: str) -> None:
    """Created, paid, canceled at the period's end; both shapes of the API."""
    found = a_subscription(api_version=shape)
    canceling = found | {"cancel_at_period_end": True, "cancel_at": 1_702_592_000}
    invoice = an_invoice(
        [a_line(2_900, api_version=shape)], api_version=shape, metadata=found["metadata"]
    )
    shop.happen(
        an_event("invoice.paid", invoice, api_version=shape),
        an_event(
            "customer.subscription.updated",
            canceling,
            api_version=shape,
            created=1_700_000_500,
            previous={"cancel_at_period_end": False, "cancel_at": None},
        ),
        an_event("customer.subscription.created", found, api_version=shape),
    )
    [subscription] = shop.get("/billing/subscriptions/")["items"]
    assert subscription["id"] == "sub_1"
    assert (subscription["plan_id"], subscription["plan_type"]) == (2, "full")
    assert (subscription["status"], subscription["is_active"]) == ("active", True)
    assert subscription["cancel_at_period_end"] is True
    assert subscription["current_period_end"].startswith("2023-12-14T22:13:20")
    assert subscription["items"] == [{"plan_id": 2, "quantity": 1}]
    assert shop.get("/billing/tokens/")["balance"] == 10_000


def test_the_ledger_names_the_payment_as_it_stands_now(shop: Shop) -> None:
    """Granted under the session; the invoice that turns up later takes its place."""
    shop.happen(an_event("checkout.session.completed", a_session()))
    line = a_line(500, "price_pack_usd", subscription=None)
    shop.happen(
        an_event("invoice.paid", an_invoice([line], subscription=None)),
        an_event("invoice_payment.paid", an_invoice_payment("in_1", "pi_1")),
        an_event("checkout.session.completed", a_session(invoice="in_1")),
        an_event("refund.created", a_refund(amount=100)),
    )
    payments = shop.get("/billing/payments/")["items"]
    assert [(payment["id"], payment["tokens"]) for payment in payments] == [("in_1", 800)]
    entries = shop.get("/billing/tokens/ledger/")["items"]
    assert [(entry["delta"], entry["payment_id"]) for entry in entries] == [
        (-200, "in_1"),
        (1_000, "in_1"),
    ]


def test_one_event_sent_fifty_times_at_once_counts_once(shop: Shop) -> None:
    """All get their 200, one has an effect."""
    event = an_event("checkout.session.completed", a_session())
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: shop.deliver(event), range(50)))
    assert answers == [200] * 50
    drain(shop.context, lambda: None)
    assert shop.get("/billing/tokens/")["balance"] == 1_000


def test_users_see_only_what_is_theirs(shop: Shop) -> None:
    """Everything is chosen by the token's `sub`."""
    shop.happen(an_event("checkout.session.completed", a_session()))
    assert shop.get("/billing/tokens/", user="someone else")["balance"] == 0
    for path in ("/billing/payments/", "/billing/subscriptions/", "/billing/tokens/ledger/"):
        assert shop.get(path, user="someone else")["items"] == []


def test_what_has_no_user_yet_takes_effect_when_the_link_arrives(shop: Shop) -> None:
    """An invoice of an unknown customer, and later the session that names the user."""
    shop.happen(an_event("invoice.paid", an_invoice([a_line(2_900)])))
    assert shop.get("/billing/tokens/")["balance"] == 0
    session = a_session(mode="subscription", subscription="sub_1", payment_intent=None)
    shop.happen(an_event("checkout.session.completed", session))
    assert shop.get("/billing/tokens/")["balance"] == 10_000


def test_an_unsigned_event_is_refused_and_leaves_no_trace(shop: Shop) -> None:
    """Nothing reaches the stream."""
    body = json.dumps(an_event("checkout.session.completed", a_session())).encode()
    assert shop.client.post(WEBHOOK, data=body).status_code == 400
    assert shop.context.events.length() == 0
