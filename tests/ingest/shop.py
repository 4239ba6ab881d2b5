"""A shop to test: the receiver and a worker on one database, and a Stripe account over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

import settings
from domain.catalogue.plans import Catalogue
from ingest.app import create_app
from ingest.context import ReceiverContext, open_context
from tests.ingest.builders import ENVIRONMENT, as_user
from tests.pipeline import a_worker_context, empty, sell, work
from tests.play import CATALOGUE, a_plan
from tests.stripe_checkout import SOLD, StripeAccount
from workers.context import WorkerContext
from workers.pipeline.drain import drain

CHECKOUT = "/billing/stripe/checkout-session/"
PORTAL = "/billing/stripe/customer-portal/"
SHOP = "https://shop.example.com"

PACKAGE = 4
PRO = 2
TRIED = 5
# Nothing of it was ever made at Stripe.
UNSYNCED = 6

PLANS = Catalogue.of(
    [
        *CATALOGUE.plans,
        a_plan(TRIED, 200, trial_days=14, trial_tokens=50, stripe_price_ids={"price_5": "usd"}),
        a_plan(UNSYNCED, 70, type="token", interval=None, prices={"usd": 700, "jpy": 900}),
        a_plan(7, 1, active=False),
    ]
)
VARIABLES = {
    "STRIPE_SECRET_KEY": "sk_test_of_the_shop",
    "STRIPE_SUCCESS_URL": f"{SHOP}/bought",
    "STRIPE_CANCEL_URL": f"{SHOP}/plans?from=stripe",
    "STRIPE_PORTAL_RETURN_URL": f"{SHOP}/account",
    "ALLOWED_REDIRECT_ORIGINS": "https://other.example.com,http://localhost:3000",
}


@dataclass(frozen=True)
class Shop:
    """Everything that sells."""

    app: Flask
    receiver: ReceiverContext
    context: WorkerContext
    stripe: StripeAccount

    def buy(
        self, plan_id: int = PACKAGE, /, *, user: str = "user_1", **changes: Any
    ) -> TestResponse:
        """Ask for a checkout session; `key` is the Idempotency-Key, the rest is the body."""
        headers = as_user(user)
        if key := changes.pop("key", None):
            headers["Idempotency-Key"] = key
        plan = PLANS.current(plan_id)
        body = {"plan_type": plan.type if plan else "token", "plan_id": plan_id} | changes
        return self.app.test_client().post(CHECKOUT, json=body, headers=headers)

    def bought(self, plan_id: int = PACKAGE, /, **changes: Any) -> Any:
        """The answer to `buy`, which must be a 200."""
        answer = self.buy(plan_id, **changes)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def status(self, session_id: str, user: str = "user_1") -> TestResponse:
        """Ask what came of a session."""
        return self.app.test_client().get(f"{CHECKOUT}{session_id}", headers=as_user(user))

    def portal(self, *, user: str = "user_1", **body: Any) -> TestResponse:
        """Ask for the portal."""
        return self.app.test_client().post(PORTAL, json=body, headers=as_user(user))

    def told(self, session_id: str, **changes: Any) -> dict[str, Any]:
        """A session as Stripe's events show it; the changes are Stripe's from now on."""
        session = self.stripe.sessions[session_id]
        session |= {"invoice": None, "subscription": None} | changes
        return SOLD | {"payment_intent": None, "livemode": False} | session

    def work(self, *events: Any) -> None:
        """Have the worker apply these events, and whatever waits."""
        work(self.context, events)
        drain(self.context, lambda: None)

    def execute(self, statement: str, **values: Any) -> Any:
        """Run a statement; the rows, where there are any."""
        with self.context.engine.begin() as connection:
            found = connection.execute(text(statement), values)
            return found.all() if found.returns_rows else None

    def age(self, seconds: int = 60) -> None:
        """Let time pass for every purchase and claim."""
        for table, moment in (
            ("purchases", "created_at"),
            ("purchases", "asked_at"),
            ("buyers", "claimed_until"),
        ):
            aged = f"{moment} = {moment} - make_interval(secs => :seconds)"
            self.execute(f"UPDATE {table} SET {aged}", seconds=seconds)  # noqa: S608 - names of ours.


def problem(answer: TestResponse) -> tuple[int, str]:
    """The status and code of an error."""
    assert answer.content_type == "application/problem+json", answer.text
    return answer.status_code, answer.get_json(force=True)["code"]


@contextmanager
def opened(database_url: str, redis_url: str, stripe: StripeAccount, **more: str) -> Iterator[Shop]:
    """A shop on these engines, whose Stripe is this account; `more` are settings."""
    found = settings.load(
        environ=ENVIRONMENT
        | VARIABLES
        | {"STRIPE_API_BASE": stripe.url, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
        | more
    )
    receiver = open_context(found)
    context = a_worker_context(database_url, redis_url)
    yield Shop(create_app(found, opened=receiver), receiver, context, stripe)
    receiver.engine.dispose()
    receiver.redis.close()
    context.engine.dispose()


def stock(shop: Shop) -> None:
    """Fill the catalogue, once for a database."""
    sell(shop.context.engine, PLANS)


def swept(shop: Shop) -> Shop:
    """The same shop, where nothing has happened yet."""
    empty(shop.context.engine)
    shop.execute("TRUNCATE buyers, purchases, checkout_keys")
    shop.receiver.redis.flushdb()
    stripe = shop.stripe
    for known in (stripe.customers, stripe.sessions, stripe.objects, stripe.faults, stripe.keys):
        known.clear()
    stripe.waits = None
    stripe.over.clear()
    stripe.asked.clear()
    stripe.delay_seconds, stripe.numbers = 0.0, count(1)
    stripe.prices = {price for plan in PLANS.plans for price in plan.stripe_price_ids}
    return shop
