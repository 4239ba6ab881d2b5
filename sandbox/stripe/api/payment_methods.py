"""Payment methods: the card that each customer pays with, read only."""

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.payment_objects import card_object
from sandbox.stripe.agenda import Shop
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.parameters import NOTHING, PAGE, Group, text
from sandbox.stripe.errors import no_such


def method_of(shop: Shop, method_id: str) -> Json | None:
    """The payment method of an id, drawn; None where no customer pays with it now."""
    return next((card for card in _cards(shop) if card["id"] == method_id), None)


def _cards(shop: Shop) -> list[Json]:
    return [
        card_object(customer, customer.created)
        for customer in shop.every(Customer)
        if customer.card_number and not customer.guest and not customer.deleted
    ]


def _listed(call: Call, customer_id: str | None) -> Found:
    cards = [
        card
        for card in _cards(call.shop)
        if customer_id in (None, card["customer"]) and call.params.get("type") in (None, "card")
    ]
    return call.page(cards, lambda card: str(card["id"]))


def _of_customer(call: Call) -> Found:
    return _listed(call, living(call, call.id, "id").id)


def _method(call: Call) -> Found:
    method = method_of(call.shop, call.id)
    if method is None:
        raise no_such("PaymentMethod", call.id, "id")
    return method


_LIST = {**PAGE, "type": text}
ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/payment_methods",
        Group({**_LIST, "customer": text}),
        lambda call: _listed(call, call.params.get("customer")),
    ),
    Endpoint("GET", "/v1/payment_methods/<id>", NOTHING, _method),
    Endpoint("GET", "/v1/customers/<id>/payment_methods", Group(_LIST), _of_customer),
)
