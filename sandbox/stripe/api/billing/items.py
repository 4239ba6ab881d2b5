"""Invoice items: made, changed, taken back, listed."""

from dataclasses import replace

from sandbox.simulate.contract_records import Line, Price, Subscription
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Invoice
from sandbox.stripe.api.billing.signing import ONCE_PRICE, price_of, quantity_of
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    Group,
    currency,
    flag,
    merged,
    metadata,
    text,
    whole,
)
from sandbox.stripe.billing.items import InvoiceItem
from sandbox.stripe.errors import invalid, missing_parameter

_PERIOD = Group({"end": whole, "start": whole}, required=("end", "start"))
_CREATE = Group(
    {
        "amount": whole,
        "currency": currency,
        "customer": text,
        "description": text,
        "invoice": text,
        "metadata": metadata,
        "period": _PERIOD,
        "price_data": ONCE_PRICE,
        "pricing": Group({"price": text}),
        "quantity": whole,
        "subscription": text,
    },
    required=("customer",),
)
_CHANGE = Group({"amount": whole, "description": text, "metadata": metadata})


def _create(call: Call) -> Found:
    params = call.params
    customer = living(call, params["customer"], "customer")
    contract, draft = None, None
    if params.get("subscription"):
        named = params["subscription"]
        contract = call.find(Subscription, named, "subscription", "subscription")
    if params.get("invoice"):
        draft = call.find(Invoice, params["invoice"], "invoice", "invoice")
        if draft.status != "draft":
            message = "Invoice items can only be added to a draft invoice."
            raise invalid(message, "invoice", "invoice_not_editable")
    words = merged(None, params.get("metadata", {}))
    return call.shop.add_item(customer, _line(call), contract, draft, words)


def _line(call: Call) -> Line:
    params, shop = call.params, call.shop
    pricing = params.get("pricing") or {}
    named, data = pricing.get("price"), params.get("price_data")
    quantity, period = quantity_of(params, ""), params.get("period") or {}
    if named or data:
        price = price_of(call, {"price": named, "price_data": data}, "pricing")
        value = price.unit_minor * quantity
    else:
        if "amount" not in params:
            raise missing_parameter("amount")
        if not params.get("currency"):
            raise missing_parameter("currency")
        price, value = _price(call), params["amount"]
    return Line(
        id=shop.new_id("il"),
        amount=value,
        description=params.get("description") or price.plan.name,
        price=price,
        plan=None,
        quantity=quantity,
        period_start=period.get("start", shop.now),
        period_end=period.get("end", shop.now),
    )


def _price(call: Call) -> Price:
    # So much, once: of no product that anybody made.
    shop, code, value = call.shop, call.params["currency"], call.params["amount"]
    name = call.params.get("description") or "Invoice item"
    plan = Plan(0, "", name, 0, None, {code: value})
    return Price(
        id=shop.new_id("price"),
        plan=plan,
        currency=code,
        unit_minor=value,
        known=False,
        created=shop.now,
        product_id=shop.new_id("prod", 14),
        active=False,
    )


def _item(call: Call) -> InvoiceItem:
    return call.the(InvoiceItem, "invoiceitem")


def _unbilled(call: Call) -> InvoiceItem:
    item = _item(call)
    if item.invoice and item.invoice.status != "draft":
        message = "This invoice item is on an invoice that is finalized and can't be changed."
        raise invalid(message, None, "invoice_not_editable")
    return item


def _change(call: Call) -> Found:
    item, params = _unbilled(call), call.params
    line = replace(
        item.line,
        amount=params.get("amount", item.line.amount),
        description=params.get("description") or item.line.description,
    )
    if item.invoice:
        item.invoice.lines = [line if one.id == line.id else one for one in item.invoice.lines]
    item.line = line
    item.metadata = merged(item.metadata, params.get("metadata", {}))
    return item


def _delete(call: Call) -> Found:
    item = _unbilled(call)
    call.shop.drop_item(item)
    return {"id": item.id, "object": "invoiceitem", "deleted": True}


def _items(call: Call) -> Found:
    pending = call.params.get("pending")
    return call.listed(
        InvoiceItem,
        lambda item: pending is None or pending == (item.invoice is None),
        customer=lambda item: item.customer.id,
        invoice=lambda item: item.invoice and item.invoice.id,
    )


_LIST = {**DATED_PAGE, "customer": text, "invoice": text, "pending": flag}
_I = "/v1/invoiceitems"
ENDPOINTS = (
    Endpoint("POST", _I, _CREATE, _create),
    Endpoint("GET", _I, Group(_LIST), _items),
    Endpoint("GET", f"{_I}/<id>", NOTHING, _item),
    Endpoint("POST", f"{_I}/<id>", _CHANGE, _change),
    Endpoint("DELETE", f"{_I}/<id>", NOTHING, _delete),
)
