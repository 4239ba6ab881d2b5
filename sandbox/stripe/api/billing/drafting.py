"""Invoices made by a request: drafted, changed, finalized, sent, given up, previewed."""

from typing import Any

from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.records import Invoice
from sandbox.stripe.api.billing.signing import PRORATIONS
from sandbox.stripe.api.billing.subscriptions import CHANGED_ITEMS, changes_of
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.parameters import (
    NOTHING,
    Group,
    currency,
    flag,
    merged,
    metadata,
    one_of,
    text,
    whole,
)
from sandbox.stripe.errors import invalid, missing_parameter

_CHANGEABLE: dict[str, Any] = {
    "auto_advance": flag,
    "collection_method": one_of("charge_automatically", "send_invoice"),
    "days_until_due": whole,
    "description": text,
    "footer": text,
    "metadata": metadata,
}
_CREATE = Group(
    {
        **_CHANGEABLE,
        "currency": currency,
        "customer": text,
        "pending_invoice_items_behavior": one_of("exclude", "include"),
        "subscription": text,
    },
    required=("customer",),
)
_PREVIEW = Group(
    {
        "currency": currency,
        "customer": text,
        "subscription": text,
        "subscription_details": Group(
            {
                "cancel_at_period_end": flag,
                "items": CHANGED_ITEMS,
                "proration_behavior": PRORATIONS,
                "proration_date": whole,
            }
        ),
    }
)
_STATED = ("description", "footer")


def _create(call: Call) -> Found:
    params, shop = call.params, call.shop
    customer, contract = living(call, params["customer"], "customer"), None
    if params.get("subscription"):
        named = params["subscription"]
        contract = call.find(Subscription, named, "subscription", "subscription")
    wanted = params.get("pending_invoice_items_behavior") == "include" or contract
    lines = [one.line for one in shop.pending(customer, contract)] if wanted else []
    code = params.get("currency") or customer.currency or "usd"
    invoice = shop.new_invoice(customer, "manual", lines, contract, currency=code)
    invoice.auto_advance = params.get("auto_advance", False)
    _state(call, invoice)
    return invoice


def _state(call: Call, invoice: Invoice) -> None:
    params = call.params
    if params.get("collection_method") == "send_invoice":
        if "days_until_due" not in params:
            raise missing_parameter("days_until_due")
        invoice.days_until_due = params["days_until_due"]
    invoice.metadata = merged(invoice.metadata, params.get("metadata", {}))
    invoice.stated = invoice.stated | {name: params[name] for name in _STATED if name in params}


def _draft(call: Call, what: str) -> Invoice:
    invoice = call.the(Invoice, "invoice")
    if invoice.status != "draft":
        message = f"You can only {what} draft invoices; this invoice is {invoice.status}."
        raise invalid(message, None, "invoice_not_editable")
    return invoice


def _update(call: Call) -> Found:
    invoice = call.the(Invoice, "invoice")
    if invoice.status == "draft":
        invoice.auto_advance = call.params.get("auto_advance", invoice.auto_advance)
    _state(call, invoice)
    call.shop.emit("invoice.updated", invoice_object(invoice), invoice.customer, {})
    return invoice


def _delete(call: Call) -> Found:
    invoice = _draft(call, "delete")
    if invoice.subscription:
        raise invalid("You can only delete draft invoices that are not of a subscription.")
    call.shop.drop_invoice(invoice)
    return {"id": invoice.id, "object": "invoice", "deleted": True}


def _finalize(call: Call) -> Found:
    invoice = _draft(call, "finalize")
    if not invoice.lines:
        message = "Nothing to invoice for this customer: the invoice has no line items."
        raise invalid(message, None, "invoice_no_customer_line_items")
    shop = call.shop
    shop.finalize(invoice)
    if invoice.amount_due == 0:
        shop.receive(invoice)
    elif invoice.days_until_due is None:
        shop.intent_of(invoice)
        if call.params.get("auto_advance", invoice.auto_advance):
            shop.attempt(invoice)
    return invoice


def _send(call: Call) -> Found:
    invoice = call.the(Invoice, "invoice")
    if invoice.days_until_due is None:
        message = "You can only manually send an invoice if its collection method is 'send_invoice'"
        raise invalid(f"{message}.")
    if invoice.status == "draft":
        call.shop.finalize(invoice)
    call.shop.emit("invoice.sent", invoice_object(invoice), invoice.customer)
    return invoice


def _give_up(call: Call) -> Found:
    invoice = call.the(Invoice, "invoice")
    if invoice.status != "open":
        raise invalid(f"You can only pass in open invoices; this is {invoice.status}.")
    call.shop.give_up_invoice(invoice)
    return invoice


def _preview(call: Call) -> Found:
    params, shop = call.params, call.shop
    named = params.get("subscription")
    if not named:
        return _of_customer(call)
    subscription = call.find(Subscription, named, "subscription", "subscription")
    details = params.get("subscription_details") or {}
    behavior = details.get("proration_behavior", "create_prorations")
    invoice = None
    if details.get("items"):
        changes = changes_of(call, subscription, details["items"])
        before = len(shop.invoices)
        shop.change_items(subscription, changes, behavior)
        if len(shop.invoices) > before:
            invoice = list(shop.invoices.values())[-1]
    if invoice is None:
        if subscription.ended_at is not None or subscription.cancel_at is not None:
            message = "No upcoming invoices for this subscription."
            raise invalid(message, None, "invoice_upcoming_none")
        shop.until(subscription.period_end)
        invoice = shop.turn(subscription)
    return _as_preview(invoice)


def _of_customer(call: Call) -> Found:
    if not call.params.get("customer"):
        raise missing_parameter("customer")
    customer = living(call, call.params["customer"], "customer")
    lines = [one.line for one in call.shop.pending(customer, None)]
    if not lines:
        message = f"No upcoming invoices for customer: {customer.id}"
        raise invalid(message, None, "invoice_upcoming_none")
    return _as_preview(call.shop.new_invoice(customer, "upcoming", lines))


def _as_preview(invoice: Invoice) -> Found:
    drawn = invoice_object(invoice)
    own = {"id": f"upcoming_{invoice.id}", "number": None, "billing_reason": "upcoming"}
    return {**drawn, **own, "status": "draft", "hosted_invoice_url": None, "invoice_pdf": None}


_I = "/v1/invoices"
ENDPOINTS = (
    Endpoint("POST", _I, _CREATE, _create),
    Endpoint("POST", f"{_I}/create_preview", _PREVIEW, _preview, undone=True),
    Endpoint("POST", f"{_I}/<id>", Group(_CHANGEABLE), _update),
    Endpoint("DELETE", f"{_I}/<id>", NOTHING, _delete),
    Endpoint("POST", f"{_I}/<id>/finalize", Group({"auto_advance": flag}), _finalize),
    Endpoint("POST", f"{_I}/<id>/mark_uncollectible", NOTHING, _give_up),
    Endpoint("POST", f"{_I}/<id>/send", NOTHING, _send),
)
