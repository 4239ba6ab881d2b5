"""Questions to Stripe, each a method; open a gateway after fork, for each process its own."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import stripe

from settings import Settings
from stripe_gateway.answers import Answer, EventPage, Json, objects
from stripe_gateway.client import PAGE, Client
from stripe_gateway.endpoints import Endpoints


class StripeGateway:
    """Questions to one Stripe account; every one raises `StripeUnavailable`.

    Make it after fork: its connections are per process. Threads may share it.
    """

    def __init__(self, settings: Settings) -> None:
        self.api_version = stripe.api_version
        self._client = Client(settings)
        self.endpoints = Endpoints(self._client)

    def account(self) -> Answer:
        """The account that the key is of."""
        return self._client.get("account")

    def invoice_lines(self, invoice_id: str) -> list[Answer]:
        """Every line of an invoice."""
        return self._client.list_all(f"invoices/{_quoted(invoice_id)}/lines")

    def invoice_payments_of(self, intent_id: str) -> list[Answer]:
        """The links between a payment intent and the invoices it pays."""
        payment = {"type": "payment_intent", "payment_intent": intent_id}
        return self._client.list_all("invoice_payments", payment=payment)

    def charge(self, charge_id: str) -> Answer:
        """A charge as it is now."""
        return self._client.get(f"charges/{_quoted(charge_id)}")

    def customer(self, customer_id: str) -> Answer:
        """A customer as it is now."""
        return self._client.get(f"customers/{_quoted(customer_id)}")

    def invoice(self, invoice_id: str, *, expand: tuple[str, ...] = ()) -> Answer:
        """An invoice as it is now; `expand` names what is to be told whole."""
        return self._client.get(f"invoices/{_quoted(invoice_id)}", **_expansion(expand))

    def subscription(self, subscription_id: str, *, expand: tuple[str, ...] = ()) -> Answer:
        """A subscription as it is now; `expand` names what is to be told whole."""
        return self._client.get(f"subscriptions/{_quoted(subscription_id)}", **_expansion(expand))

    def subscription_items(self, subscription_id: str) -> list[Answer]:
        """Every item of a subscription."""
        return self._client.list_all("subscription_items", subscription=subscription_id)

    def subscriptions(self, *, after: str = "") -> Iterator[Answer]:
        """Every subscription, ended ones too, newest first, each with its latest invoice whole.

        `after` is the last one that was read before.
        """
        expand = _expansion(("data.latest_invoice",))
        return self._client.iterate("subscriptions", after, status="all", **expand)

    def probe(self, method: str, address: str, **params: object) -> Answer:
        """Whatever Stripe answers to a request that is made to learn what the key may do."""
        return self._client.send(method, address, **params)

    def noticed_object(self, path: str) -> Answer:
        """The object at a path that a thin event names, as it is now."""
        return self._client.get_at(path)

    def event(self, event_id: str) -> Answer:
        """A snapshot event, as it was sent; Stripe has those of the last 30 days."""
        return self._client.get(f"events/{_quoted(event_id)}")

    def thin_event(self, event_id: str) -> Answer:
        """A thin event with what its delivery leaves out."""
        return self._client.get_at(f"/v2/core/events/{_quoted(event_id)}")

    def events(self, *, since: int, after: str = "", undelivered: bool = False) -> EventPage:
        """A page of the account's events of the second `since` (Stripe's) and later, newest first.

        `after` is the last event of the page before. `undelivered` are those that some endpoint has
        not taken yet.
        """
        position: Json = {"starting_after": after} if after else {}
        if undelivered:
            position["delivery_success"] = False
        page = self._client.get("events", limit=PAGE, created={"gte": since}, **position)
        has_more = page.get("has_more") is True
        return EventPage(objects(page), has_more, page.answered_created)

    def create_customer(self, user_id: str, *, idempotency_key: str) -> Answer:
        """A new customer that carries the user in its metadata."""
        return self._client.post("customers", {"metadata": {"user_id": user_id}}, idempotency_key)

    def customers_of(self, user_id: str) -> list[Answer]:
        """The customers that carry a user; Stripe's search lags a minute behind."""
        wanted = user_id.replace("\\", "\\\\").replace("'", "\\'")
        return objects(
            self._client.get("customers/search", query=f"metadata['user_id']:'{wanted}'")
        )

    def newest_customers(self) -> list[Answer]:
        """The customers made last, whomever for; unlike the search it lags behind nothing."""
        return objects(self._client.get("customers", limit=PAGE))

    def create_checkout_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> Answer:
        """A new checkout session of Stripe's parameters."""
        return self._client.post("checkout/sessions", params, idempotency_key)

    def checkout_session(self, session_id: str, *, expand: tuple[str, ...] = ()) -> Answer:
        """A checkout session as it is now; `expand` names what is to be told whole."""
        return self._client.get(f"checkout/sessions/{_quoted(session_id)}", **_expansion(expand))

    def checkout_session_line_items(self, session_id: str) -> list[Answer]:
        """Everything that was bought in a checkout session."""
        return self._client.list_all(f"checkout/sessions/{_quoted(session_id)}/line_items")

    def checkout_sessions_of_intent(self, intent_id: str) -> list[Answer]:
        """The checkout sessions that a payment intent was made for; there is one at most."""
        return objects(self._client.get("checkout/sessions", payment_intent=intent_id))

    def checkout_sessions_of(self, customer_id: str) -> list[Answer]:
        """The newest checkout sessions of a customer."""
        return objects(self._client.get("checkout/sessions", customer=customer_id, limit=PAGE))

    def expire_checkout_session(self, session_id: str) -> Answer:
        """A checkout session that nobody can pay any more; refused where it is not open."""
        return self._client.post(f"checkout/sessions/{_quoted(session_id)}/expire", {})

    def create_portal_session(self, params: Mapping[str, Any]) -> Answer:
        """A new session of the customer portal; its address is short-lived."""
        return self._client.post("billing_portal/sessions", params)

    def default_portal_configurations(self) -> list[Answer]:
        """The configuration of portal sessions that name none; there is one at most."""
        return objects(self._client.get("billing_portal/configurations", is_default=True))

    def update_portal_configuration(
        self, configuration_id: str, params: Mapping[str, Any]
    ) -> Answer:
        """A changed configuration of the customer portal."""
        address = f"billing_portal/configurations/{_quoted(configuration_id)}"
        return self._client.post(address, params)

    def products(self) -> Iterator[Answer]:
        """Every product of the account, archived ones too."""
        return self._client.iterate("products")

    def create_product(self, params: Mapping[str, Any], *, idempotency_key: str) -> Answer:
        """A new product."""
        return self._client.post("products", params, idempotency_key)

    def update_product(self, product_id: str, params: Mapping[str, Any]) -> Answer:
        """A changed product."""
        return self._client.post(f"products/{_quoted(product_id)}", params)

    def prices(self) -> Iterator[Answer]:
        """Every price of the account, archived ones too."""
        return self._client.iterate("prices")

    def create_price(self, params: Mapping[str, Any], *, idempotency_key: str) -> Answer:
        """A new price."""
        return self._client.post("prices", params, idempotency_key)

    def update_price(self, price_id: str, params: Mapping[str, Any]) -> Answer:
        """A changed price; Stripe lets amount and currency never change."""
        return self._client.post(f"prices/{_quoted(price_id)}", params)


def key_hash(settings: Settings) -> str | None:
    """What stands for the key where the key itself must not be; None where Stripe is not asked."""
    if not (settings.stripe_enabled and settings.stripe_secret_key):
        return None
    return hashlib.sha256(settings.stripe_secret_key.encode()).hexdigest()


def open_gateway(settings: Settings) -> StripeGateway | None:
    """A gateway where Stripe is enabled and a key is configured, else None."""
    if not (settings.stripe_enabled and settings.stripe_secret_key):
        return None
    return StripeGateway(settings)


def _expansion(expand: Sequence[str]) -> Json:
    return {"expand": list(expand)} if expand else {}


def _quoted(object_id: str) -> str:
    """An id as part of an address; whatever is in it stays inside that part."""
    return quote(object_id, safe="")
