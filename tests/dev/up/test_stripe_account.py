"""What `up` tells the offline Stripe of what is on sale."""

from pathlib import Path
from typing import Any

import settings
from dev.up.stripe_account import offer_plans
from stripe_gateway import StripeGateway
from tests.offline_stripe import KEY, Offline, offline_stripe


def product(offline: Offline, kind: str, interval: str | None = "month") -> str:
    """Make a product of a kind of plan, with one price; returns the price's id."""
    made: Any = {"name": kind, "metadata": {"plan_id": "1", "plan_type": kind}}
    price: Any = {
        "product": offline.client.v1.products.create(made).id,
        "currency": "usd",
        "unit_amount": 1200,
    }
    if interval:
        price["recurring"] = {"interval": interval}
    return offline.client.v1.prices.create(price).id


def test_the_portal_offers_plans_and_no_packages(tmp_path: Path) -> None:
    """A package that renews is none to switch to; saying so again tells nobody anything new."""
    with offline_stripe(tmp_path / "stripe.sqlite") as offline:
        plan = product(offline, "full")
        product(offline, "token")
        product(offline, "token", None)
        offline.price(700)
        environ = {
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_API_BASE": offline.url,
        }
        gateway = StripeGateway(settings.load(environ=environ, needs=()))
        for _ in range(2):
            offer_plans(gateway)
        (told,) = offline.client.v1.billing_portal.configurations.list().data
        products = told.features.subscription_update.products
        assert products is not None
        assert [one.prices for one in products] == [[plan]]
        assert offline.types().count("billing_portal.configuration.updated") == 1
