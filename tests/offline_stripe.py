"""An offline Stripe for tests: a served account, the SDK's client of it, and things to buy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stripe

from sandbox.stripe.server import serve
from sandbox.stripe.views import Paid
from sandbox.stripe.world import World

KEY = "sk_test_offline0123456789"
SECRET = "whsec_offline"
GOOD = "4242424242424242"
ASKS = "4000002500003155"
BROKE = "4000000000009995"
LATER = "4000000000000341"
SUCCESS = "http://shop.test/thanks?session={CHECKOUT_SESSION_ID}"
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Offline:
    """A served account and the SDK's own client."""

    world: World
    url: str
    client: stripe.StripeClient

    def customer(self, user: str = "user") -> str:
        """Make a customer; returns the id."""
        made = self.client.v1.customers.create(
            {"email": f"{user}@example.com", "name": "Ada", "metadata": {"user_id": user}}
        )
        return made.id

    def price(self, amount: int = 2900, interval: str | None = "month", **more: Any) -> str:
        """Make a product with one price; returns the price's id."""
        product = self.client.v1.products.create({"name": f"Plan at {amount}"})
        params: Any = {"product": product.id, "currency": "usd", "unit_amount": amount, **more}
        if interval:
            params["recurring"] = {"interval": interval}
        return self.client.v1.prices.create(params).id

    def session(self, price: str, customer: str, **more: Any) -> str:
        """Open a session for a price, in the mode the price needs; returns the id."""
        recurring = self.client.v1.prices.retrieve(price).recurring is not None
        params: Any = {
            "mode": "subscription" if recurring else "payment",
            "customer": customer,
            "client_reference_id": "user",
            "line_items": [{"price": price, "quantity": 1}],
            "success_url": SUCCESS,
            **more,
        }
        return self.client.v1.checkout.sessions.create(params).id

    def subscription(self, price: str, customer: str, card: str = GOOD, **more: Any) -> str:
        """Subscribe through the checkout page; returns the subscription's id."""
        session = self.session(price, customer, **more)
        assert isinstance(self.world.pay(session, card), Paid)
        found = self.client.v1.checkout.sessions.retrieve(session).subscription
        assert isinstance(found, str)
        return found

    def renew(self, subscription: str, *, seconds_later: int) -> None:
        """Let a subscription's period end, however long its month is, and some time pass after."""
        (item,) = self.client.v1.subscriptions.retrieve(subscription)["items"].data
        self.world.advance(item.current_period_end - self.world.now + seconds_later)

    def portal(self, customer: str, **more: Any) -> str:
        """Open the portal; returns the visit's id."""
        params: Any = {"customer": customer, "return_url": "http://shop.test/account", **more}
        return self.client.v1.billing_portal.sessions.create(params).id

    def types(self) -> list[str]:
        """The types of all events, oldest first."""
        return [one.event.type for one in self.world.log.posted]

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """The objects of all events of a type, oldest first."""
        found = [one.event for one in self.world.log.posted if one.event.type == kind]
        return [event.payload["data"]["object"] for event in found]


@contextmanager
def offline_stripe(path: Path, *, webhook_url: str = "") -> Iterator[Offline]:
    """Serve the account of a file on a free port for as long as the block runs."""
    stripe.enable_telemetry = False
    world = World.open(path)
    try:
        with serve(world, port=0, webhook_url=webhook_url, secret=SECRET) as url:
            client = stripe.StripeClient(KEY, base_addresses={"api": url})
            yield Offline(world, url, client)
    finally:
        world.close()
