"""A Django project with nothing but dj-stripe and its webhook view, as its documentation shows it.

Runs in an environment of its own, which has dj-stripe and no package of ours. `python -m` makes the
tables and the endpoint; `application` is what a server serves.

dj-stripe fetches the object of every event from Stripe, and whatever it does not know of what the
object belongs to. Here each such question is answered at once, in the process that asks: with the
object as an event brought it, or with one that has an id and little else. So it never waits.
"""

# Django and dj-stripe need not be in the environment that is checked, and have no types.
# mypy: disable-error-code="import-not-found, import-untyped"

import json
import os
from collections import OrderedDict
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import django
import stripe
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import path

ENDPOINT = UUID("5c1b5a0e-0000-4000-8000-000000000001")
ACCOUNT = "acct_bench"
REMEMBERED_MAX = 20_000
# The last part of a path but one → what such an object is called.
KINDS = {
    "accounts": "account",
    "balance_transactions": "balance_transaction",
    "charges": "charge",
    "customers": "customer",
    "disputes": "dispute",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "payment_methods": "payment_method",
    "prices": "price",
    "products": "product",
    "refunds": "refund",
    "sessions": "checkout.session",
    "setup_intents": "setup_intent",
    "subscriptions": "subscription",
}

# What columns may not be without.
UNKNOWN: dict[str, Any] = {
    "livemode": False,
    "created": 1_788_220_800,
    "metadata": {},
    "currency": "usd",
    **dict.fromkeys(("amount", "net", "fee", "amount_due", "amount_paid", "amount_remaining"), 0),
    **dict.fromkeys(("amount_refunded", "amount_capturable", "amount_received", "total"), 0),
    **dict.fromkeys(("subtotal", "unit_amount"), 0),
    "status": "available",
}

_database = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    DEBUG=False,
    SECRET_KEY="bench",  # noqa: S106 - nothing here is secret.
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    # It tells the length of each answer.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djstripe"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _database.path.lstrip("/"),
            "USER": unquote(_database.username or ""),
            "PASSWORD": unquote(_database.password or ""),
            "HOST": _database.hostname,
            "PORT": _database.port,
            "CONN_MAX_AGE": None,
        }
    },
    STRIPE_TEST_SECRET_KEY="sk_test_" + 24 * "0",
    STRIPE_LIVE_MODE=False,
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
)
django.setup()

from djstripe import models, signals  # noqa: E402 - after `setup`.
from djstripe.views import ProcessWebhookView  # noqa: E402


class Answers(stripe.HTTPClient):
    """Stripe, as it would answer if it were here; remembers what events brought last."""

    name = "bench"

    def __init__(self) -> None:
        """Knows nothing yet."""
        super().__init__()
        self._objects: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._customers: OrderedDict[str, str] = OrderedDict()

    def remember(self, instance: Any, **_: Any) -> None:  # noqa: ANN401 - Django's signals are untyped.
        """Keep the object that an event carries."""
        brought = instance.json_body["data"]["object"]
        if "id" in brought:
            self._objects[brought["id"]] = brought
            self._objects.move_to_end(brought["id"])
        customer = brought.get("customer")
        if customer:
            # Whatever it names belongs to the same customer.
            names = [each for each in brought.values() if isinstance(each, str) and "_" in each]
            self._customers.update(dict.fromkeys(names, customer))
        for known in (self._objects, self._customers):
            while len(known) > REMEMBERED_MAX:
                known.popitem(last=False)

    def request(
        self,
        method: str,  # noqa: ARG002 - Stripe's client calls it so.
        url: str,
        headers: Any,  # noqa: ANN401, ARG002
        post_data: Any = None,  # noqa: ANN401, ARG002
        **_: Any,  # noqa: ANN401
    ) -> tuple[str, int, dict[str, str]]:
        """Answer a question for an object."""
        parts = urlsplit(url).path.strip("/").split("/")
        kind, object_id = ("accounts", ACCOUNT) if parts[-1] == "account" else tuple(parts[-2:])
        if kind not in KINDS:
            # Not an object but what belongs to one, such as the features of a product.
            return (
                json.dumps({"object": "list", "data": [], "has_more": False, "url": "/"}),
                200,
                {},
            )
        found = self._objects.get(object_id) or {
            "id": object_id,
            "object": KINDS[kind],
            "customer": self._customers.get(object_id),
            **UNKNOWN,
        }
        return json.dumps(found), 200, {"Request-Id": "req_bench"}

    def close(self) -> None:
        """Nothing is open."""


answers = Answers()
stripe.default_http_client = answers
signals.webhook_pre_process.connect(answers.remember, weak=False)
_view = ProcessWebhookView.as_view()
urlpatterns = [
    path("billing/stripe/webhook/", _view, {"uuid": ENDPOINT}),
    path("healthz", lambda _request: HttpResponse("ok")),
]


def application(environ: Any, start_response: Any) -> Any:  # noqa: ANN401 - Django has no types here.
    """What a server calls, by WSGI."""
    return _served(environ, start_response)


def main() -> None:
    """Make the tables, the account, and the endpoint with its secret."""
    call_command("migrate", verbosity=0)
    # Once, before processes that serve would do it at the same time.
    models.Account.get_or_retrieve_for_api_key(settings.STRIPE_TEST_SECRET_KEY)
    models.WebhookEndpoint.objects.create(
        id="we_bench",
        livemode=False,
        enabled_events=["*"],
        secret=os.environ["STRIPE_WEBHOOK_SECRET"],
        status="enabled",
        url="https://example.com/billing/stripe/webhook/",
        djstripe_uuid=ENDPOINT,
    )


from django.core.wsgi import get_wsgi_application  # noqa: E402

_served = get_wsgi_application()

if __name__ == "__main__":
    main()
