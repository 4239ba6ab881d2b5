"""Subscriptions and their items, invoices, their lines and payments."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.simulate.contract_records import Price, Subscription
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.records import Invoice
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.drawing import invoice_payments, items_of, lines_of
from sandbox.stripe.api.offers import DISCOUNTS, discounts_of
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    PAGE,
    Group,
    Many,
    flag,
    merged,
    metadata,
    one_of,
    text,
    whole,
)
from sandbox.stripe.cards import card_of
from sandbox.stripe.contracts import RUNNING
from sandbox.stripe.errors import card_declined, invalid, no_such
from sandbox.stripe.views import Declined, NeedsAuthentication

_STATUSES = (
    *("active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due"),
    *("paused", "trialing", "unpaid"),
)
_UPDATE = Group(
    {
        "cancel_at_period_end": flag,
        "discounts": DISCOUNTS,
        "items": Many(Group({"id": text, "price": text, "quantity": whole}), most=1),
        "metadata": metadata,
        "proration_behavior": one_of("always_invoice", "create_prorations", "none"),
    }
)


def _subscription(call: Call) -> Subscription:
    return call.the(Subscription, "subscription")


def _subscriptions(call: Call) -> Found:
    status = call.params.get("status")
    ended = ("canceled", "incomplete_expired")
    return call.listed(
        Subscription,
        lambda subscription: (
            status in ("all", subscription.status)
            or (status == "ended" and subscription.status in ended)
            # Without a status, what was canceled is left out.
            or (status is None and subscription.status != "canceled")
        ),
        customer=lambda subscription: subscription.customer.id,
        price=lambda subscription: subscription.price.id,
    )


def _running(call: Call) -> Subscription:
    subscription = _subscription(call)
    if subscription.status not in RUNNING:
        message = f"This subscription is {subscription.status} and can no longer be changed."
        raise invalid(message, None, "resource_missing")
    return subscription


def _update(call: Call) -> Found:
    subscription = _running(call)
    params = call.params
    if "metadata" in params:
        before = subscription_object(subscription)
        subscription.metadata = merged(subscription.metadata, params["metadata"])
        call.shop.report(subscription, before, by_stripe=False)
    scheduled = subscription.cancel_at is not None
    if params.get("cancel_at_period_end") is True and not scheduled:
        call.shop.cancel_at_end(subscription)
    if params.get("cancel_at_period_end") is False and scheduled:
        call.shop.undo_cancel(subscription)
    if "discounts" in params:
        call.shop.reduce_contract(subscription, discounts_of(call, params["discounts"]))
    if params.get("items"):
        _move(call, subscription, params["items"][0])
    return subscription


def _move(call: Call, subscription: Subscription, item: Mapping[str, Any]) -> None:
    if item.get("id") != subscription.item_id:
        raise invalid("The offline Stripe changes the one item there is.", "items[0][id]")
    price = subscription.price
    if item.get("price"):
        price = call.find(Price, item["price"], "price", "items[0][price]")
    if not price.plan.recurring or price.currency != subscription.price.currency:
        raise invalid("The price must renew, in the subscription's currency.", "items[0][price]")
    if call.params.get("proration_behavior") != "always_invoice":
        message = "The offline Stripe bills a change at once: pass `always_invoice`."
        raise invalid(message, "proration_behavior")
    said = call.shop.move_to(subscription, price, item.get("quantity", subscription.quantity))
    if said:
        raise card_declined(said.message, said.code)


def _cancel(call: Call) -> Found:
    subscription = _subscription(call)
    if subscription.ended_at is not None:
        message = f"No such subscription: '{subscription.id}'"
        raise invalid(message, "id", "resource_missing")
    call.shop.close(subscription)
    return subscription


def _items(call: Call) -> Found:
    wanted = call.params["subscription"]
    subscription = call.find(Subscription, wanted, "subscription", "subscription")
    return call.page(items_of(subscription), lambda item: str(item["id"]))


def _invoices(call: Call) -> Found:
    return call.listed(
        Invoice,
        customer=lambda invoice: invoice.customer.id,
        subscription=lambda invoice: invoice.subscription and invoice.subscription.id,
        status=lambda invoice: invoice.status,
    )


def _invoice(call: Call) -> Invoice:
    return call.the(Invoice, "invoice")


def _lines(call: Call) -> Found:
    return call.page(lines_of(_invoice(call)), lambda line: str(line["id"]))


def _pay(call: Call) -> Found:
    invoice = _invoice(call)
    if invoice.status == "paid":
        raise invalid("Invoice is already paid", None, "invoice_already_paid")
    if invoice.status != "open":
        message = f"Invoices with status {invoice.status} cannot be paid."
        raise invalid(message, None, "invoice_not_editable")
    card = card_of(invoice.customer.card_number)
    if card is None or card.fails_later:
        call.shop.refuse(invoice, retry_at=invoice.next_attempt, code="generic_decline")
        raise card_declined("Your card was declined.", "generic_decline")
    match call.shop.pay_now(invoice, card, authenticated=True):
        case Declined() as said:
            raise card_declined(said.message, said.code)
        case NeedsAuthentication():
            raise card_declined("This card asks for authentication.", "authentication_required")
        case None:
            return invoice


def _void(call: Call) -> Found:
    invoice = _invoice(call)
    if invoice.status != "open":
        raise invalid(f"You can only pass in open invoices; this is {invoice.status}.")
    call.shop.void(invoice)
    return invoice


def _payments(call: Call) -> Found:
    params = call.params
    wanted = params.get("payment", {}).get("payment_intent")
    payments: list[Json] = [
        drawn
        for one in call.shop.every(Invoice)
        if params.get("invoice") in (None, one.id)
        for drawn in invoice_payments(one)
        if params.get("status") in (None, drawn["status"])
        and wanted in (None, drawn["payment"]["payment_intent"])
    ]
    key: Callable[[Json], str] = lambda drawn: str(drawn["id"])  # noqa: E731 - it names the type.
    return call.page(payments, key)


def _payment(call: Call) -> Found:
    for one in call.shop.every(Invoice):
        for drawn in invoice_payments(one):
            if drawn["id"] == call.id:
                return drawn
    raise no_such("invoice_payment", call.id, "id")


_S, _I = "/v1/subscriptions", "/v1/invoices"
_OF_CUSTOMER = {**DATED_PAGE, "customer": text}
ENDPOINTS = (
    Endpoint(
        "GET",
        _S,
        Group({**_OF_CUSTOMER, "price": text, "status": one_of(*_STATUSES)}),
        _subscriptions,
    ),
    Endpoint("GET", f"{_S}/<id>", NOTHING, _subscription),
    Endpoint("POST", f"{_S}/<id>", _UPDATE, _update),
    Endpoint("DELETE", f"{_S}/<id>", NOTHING, _cancel),
    Endpoint(
        "GET",
        "/v1/subscription_items",
        Group({**PAGE, "subscription": text}, required=("subscription",)),
        _items,
    ),
    Endpoint(
        "GET",
        _I,
        Group(
            {
                **_OF_CUSTOMER,
                "status": one_of("draft", "open", "paid", "uncollectible", "void"),
                "subscription": text,
            }
        ),
        _invoices,
    ),
    Endpoint("GET", f"{_I}/<id>", NOTHING, _invoice),
    Endpoint("GET", f"{_I}/<id>/lines", Group(PAGE), _lines),
    Endpoint("POST", f"{_I}/<id>/pay", NOTHING, _pay),
    Endpoint("POST", f"{_I}/<id>/void", NOTHING, _void),
    Endpoint(
        "GET",
        "/v1/invoice_payments",
        Group(
            {
                **DATED_PAGE,
                "invoice": text,
                "payment": Group({"payment_intent": text, "type": one_of("payment_intent")}),
                "status": one_of("canceled", "open", "paid"),
            }
        ),
        _payments,
    ),
    Endpoint("GET", "/v1/invoice_payments/<id>", NOTHING, _payment),
)
