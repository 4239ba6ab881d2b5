"""Payment methods: cards, made from test numbers or by Stripe's names for them."""

from typing import Any

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.payment_objects import card_object
from sandbox.stripe.agenda import Shop
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.finding import find_method
from sandbox.stripe.api.parameters import NOTHING, PAGE, Group, merged, metadata, one_of, text
from sandbox.stripe.cards import Card, card_named, card_of
from sandbox.stripe.errors import Refusal, card_declined, invalid, no_such
from sandbox.stripe.paying.methods import Method, method_object

_ADDRESS = Group(dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), text))
_BILLING = Group({"address": _ADDRESS, "email": text, "name": text, "phone": text})
_EXPIRY: dict[str, Any] = {"exp_month": text, "exp_year": text}
_METHOD = Group(
    {
        "type": one_of("card"),
        "card": Group({"number": text, "token": text, "cvc": text, **_EXPIRY}),
        "billing_details": _BILLING,
        "metadata": metadata,
    },
    required=("type",),
)
_UPDATE = Group({"billing_details": _BILLING, "card": Group(_EXPIRY), "metadata": metadata})


def method_of(shop: Shop, method_id: str) -> Json | None:
    """The payment method of an id, drawn; None where there is none."""
    method = shop.get(Method, method_id)
    if method:
        return method_object(method)
    return next((card for card in _older(shop) if card["id"] == method_id), None)


def made_of(call: Call, data: Json, where: str) -> Method:
    """A payment method of what a request says of a card."""
    said = data.get("card") or {}
    number, token = said.get("number"), said.get("token")
    if bool(number) == bool(token):
        raise invalid("You must pass either `number` or `token` of the card.", where)
    card = card_named(token) if token else card_of(str(number))
    if card is None:
        raise _incorrect(where)
    method = call.shop.add_method(card)
    method.billing = dict(data.get("billing_details") or {})
    method.metadata = merged(None, data.get("metadata") or {})
    return method


def declined(card: Card, message: str, code: str, **objects: Any) -> Refusal:  # noqa: ANN401 - JSON.
    """The refusal of a request whose card said no."""
    refusal = card_declined(message, code)
    if card.code != "card_declined" and card.decline_code == code:
        refusal.code, refusal.decline_code = card.code, None
    refusal.objects = objects
    return refusal


def _incorrect(where: str) -> Refusal:
    refusal = card_declined("Your card number is incorrect.", "")
    refusal.code, refusal.decline_code, refusal.param = "incorrect_number", None, where
    return refusal


def _older(shop: Shop) -> list[Json]:
    # The cards of accounts that kept none by themselves.
    return [
        card_object(customer, customer.created)
        for customer in shop.every(Customer)
        if customer.card_number
        and not customer.guest
        and not customer.deleted
        and customer.method_id not in shop.records
    ]


def _listed(call: Call, customer_id: str | None) -> Found:
    cards = [
        method_object(one)
        for one in call.shop.every(Method)
        if one.customer and not one.customer.guest and not one.customer.deleted
    ]
    wanted = [
        card
        for card in (*cards, *_older(call.shop))
        if customer_id in (None, card["customer"])
        and call.params.get("type") in (None, card["type"])
    ]
    return call.page(wanted, lambda card: str(card["id"]))


def _of_customer(call: Call) -> Found:
    return _listed(call, living(call, call.id, "id").id)


def _method(call: Call) -> Found:
    method = method_of(call.shop, call.id)
    if method is None:
        raise no_such("PaymentMethod", call.id, "id")
    return method


def _create(call: Call) -> Found:
    return made_of(call, call.params, "card[number]")


def _update(call: Call) -> Found:
    method = find_method(call, call.id, "id")
    if "metadata" in call.params:
        method.metadata = merged(method.metadata, call.params["metadata"])
    method.billing = method.billing | (call.params.get("billing_details") or {})
    before = method_object(method)
    call.shop.emit("payment_method.updated", before, method.customer, {})
    return method


def _attach(call: Call) -> Found:
    customer = living(call, call.params["customer"], "customer")
    method = find_method(call, call.id, "id")
    if method.customer not in (None, customer):
        message = "The payment method you provided has already been attached to a customer."
        raise invalid(message, None, "payment_method_already_attached")
    card = method.card
    if card.decline_code is not None:
        raise declined(card, card.message, card.decline_code)
    call.shop.attach(method, customer)
    return method


def _detach(call: Call) -> Found:
    method = find_method(call, call.id, "id")
    if method.customer is None:
        raise invalid("The payment method you provided is not attached to a customer.")
    call.shop.detach(method)
    return method


_LIST: dict[str, Any] = {**PAGE, "type": text}
_M = "/v1/payment_methods"
ENDPOINTS = (
    Endpoint("POST", _M, _METHOD, _create),
    Endpoint(
        "GET",
        _M,
        Group({**_LIST, "customer": text}),
        lambda call: _listed(call, call.params.get("customer")),
    ),
    Endpoint("GET", f"{_M}/<id>", NOTHING, _method),
    Endpoint("POST", f"{_M}/<id>", _UPDATE, _update),
    Endpoint("POST", f"{_M}/<id>/attach", Group({"customer": text}, ("customer",)), _attach),
    Endpoint("POST", f"{_M}/<id>/detach", NOTHING, _detach),
    Endpoint("GET", "/v1/customers/<id>/payment_methods", Group(_LIST), _of_customer),
)
