"""Subscriptions made by a request, and the parameters that say what they bill."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.simulate.contract_records import Customer, Price
from sandbox.stripe.api.calls import Call, Found
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.finding import find_method, find_price, sold_in
from sandbox.stripe.api.offers import DISCOUNTS, discounts_of
from sandbox.stripe.api.parameters import (
    Group,
    Many,
    amount,
    currency,
    flag,
    merged,
    metadata,
    one_of,
    text,
    whole,
)
from sandbox.stripe.api.periods import INTERVALS, period_of
from sandbox.stripe.billing.signing import Deal
from sandbox.stripe.errors import card_declined, invalid, missing_parameter
from sandbox.stripe.goods import Product

_PRICE_DATA: dict[str, Any] = {"currency": currency, "product": text, "unit_amount": amount}
_RECURRING = Group(
    {"interval": one_of(*INTERVALS), "interval_count": whole}, required=("interval",)
)
ITEM_PRICE = Group(
    {**_PRICE_DATA, "recurring": _RECURRING}, required=("currency", "product", "recurring")
)
ONCE_PRICE = Group(_PRICE_DATA, required=("currency", "product"))
PRORATIONS = one_of("always_invoice", "create_prorations", "none")
SIGN = Group(
    {
        "add_invoice_items": Many(
            Group({"price": text, "price_data": ONCE_PRICE, "quantity": whole}), most=20
        ),
        "cancel_at_period_end": flag,
        "collection_method": one_of("charge_automatically"),
        "currency": currency,
        "customer": text,
        "default_payment_method": text,
        "description": text,
        "discounts": DISCOUNTS,
        "items": Many(
            Group(
                {"metadata": metadata, "price": text, "price_data": ITEM_PRICE, "quantity": whole}
            ),
            most=20,
        ),
        "metadata": metadata,
        "off_session": flag,
        "payment_behavior": one_of("allow_incomplete", "default_incomplete", "error_if_incomplete"),
        "payment_settings": Group(
            {"save_default_payment_method": one_of("off", "on_subscription")}
        ),
        "proration_behavior": PRORATIONS,
        "trial_end": text,
        "trial_period_days": whole,
    },
    required=("customer", "items"),
)


def create(call: Call) -> Found:
    """Sign a contract."""
    params, shop = call.params, call.shop
    customer = living(call, params["customer"], "customer")
    lines = tuple(_line(call, one, f"items[{place}]") for place, one in enumerate(params["items"]))
    _check_lines(lines)
    sold = lines[0][0].currency
    named = params.get("default_payment_method")
    method = find_method(call, named, "default_payment_method") if named else None
    if method and method.customer is not customer:
        message = f"The customer does not have a payment method with the ID {method.id}."
        raise invalid(message, "default_payment_method", "resource_missing")
    fees = params.get("add_invoice_items", [])
    deal = Deal(
        customer=customer,
        lines=lines,
        metadata=merged(None, params.get("metadata", {})),
        trial_end=_trial_end(call),
        method=method,
        discounts=discounts_of(call, params.get("discounts", [])),
        waits=params.get("payment_behavior") == "default_incomplete",
        fees=tuple(
            _line(call, one, f"add_invoice_items[{place}]", once=True, wanted=sold)
            for place, one in enumerate(fees)
        ),
    )
    _check_card(call, deal)
    subscription = shop.sign(deal)
    if params.get("description"):
        subscription.stated = {"description": params["description"]}
    if params.get("cancel_at_period_end"):
        shop.cancel_at_end(subscription)
    return subscription


def price_of(call: Call, said: Mapping[str, Any], where: str) -> Price:
    """The price that an item names, or describes."""
    named, data = said.get("price"), said.get("price_data")
    if bool(named) == bool(data):
        raise missing_parameter(f"{where}[price]")
    if named:
        return find_price(call, named, f"{where}[price]")
    data = data or {}
    if "unit_amount" not in data:
        raise missing_parameter(f"{where}[price_data][unit_amount]")
    inside = f"{where}[price_data]"
    return call.shop.add_price(
        call.find(Product, data["product"], "product", f"{inside}[product]"),
        currency=data["currency"],
        unit_minor=data["unit_amount"],
        period=period_of(data.get("recurring"), f"{inside}[recurring]"),
        active=False,
    )


def _line(
    call: Call,
    said: Mapping[str, Any],
    where: str,
    *,
    once: bool = False,
    wanted: str | None = None,
) -> tuple[Price, int]:
    price = price_of(call, said, where)
    if price.plan.recurring == once:
        kind = "one-time" if once else "recurring"
        message = f"The price specified is not {kind}. This field only accepts {kind} prices."
        raise invalid(message, f"{where}[price]")
    wanted = wanted or call.params.get("currency") or price.currency
    return sold_in(price, wanted, f"{where}[price]"), quantity_of(said, where)


def quantity_of(said: Mapping[str, Any], where: str) -> int:
    """How many of something an item bills, one unless it says so."""
    quantity = int(said.get("quantity", 1))
    if quantity < 0:
        message = "This value must be greater than or equal to 0."
        raise invalid(message, f"{where}[quantity]", "parameter_invalid_integer")
    return quantity


def _check_lines(lines: Sequence[tuple[Price, int]]) -> None:
    main = lines[0][0]
    for price, _ in lines:
        if price.currency != main.currency:
            raise invalid("All prices of a subscription must be in one currency.", "items")
        mine = (price.plan.interval, price.plan.interval_count)
        if mine != (main.plan.interval, main.plan.interval_count):
            raise invalid("All prices of a subscription must have the same interval.", "items")


def _trial_end(call: Call) -> int | None:
    params, now = call.params, call.shop.now
    days, end = params.get("trial_period_days"), params.get("trial_end")
    if days and end:
        message = "You may only specify one of these parameters: trial_end, trial_period_days."
        raise invalid(message)
    if end and end != "now":
        return moment_of(end, now, "trial_end")
    return now + int(days) * 86400 if days else None


def moment_of(said: str, now: int, param: str) -> int:
    """A moment to come."""
    moment = whole(param, said)
    if moment <= now:
        raise invalid(f"Invalid timestamp: {param} must be in the future.", param)
    return moment


def _check_card(call: Call, deal: Deal) -> None:
    customer: Customer = deal.customer
    due = sum(price.unit_minor * count for price, count in deal.lines)
    if deal.trial_end or deal.waits or not due:
        return
    card = deal.method.card if deal.method else call.shop.card_for(customer, None)
    if card is None:
        message = (
            "This customer has no attached payment source or default payment method. Please "
            "consider adding a default payment method."
        )
        raise invalid(message, None, "resource_missing")
    refused = card.decline_code is not None or card.fails_later
    if refused and call.params.get("payment_behavior") == "error_if_incomplete":
        raise card_declined(card.message, card.decline_code or "generic_decline")
