"""The lines of a checkout session: prices that exist, or that are made inline."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.simulate.contract_records import Price
from sandbox.stripe.api.calls import Call
from sandbox.stripe.api.finding import find_price, sold_in
from sandbox.stripe.api.parameters import (
    Group,
    amount,
    currency,
    merged,
    metadata,
    one_of,
    text,
    whole,
)
from sandbox.stripe.api.periods import INTERVALS, period_of
from sandbox.stripe.errors import invalid, missing_parameter
from sandbox.stripe.goods import Product

_PRICE_DATA = Group(
    {
        "currency": currency,
        "product": text,
        "product_data": Group(
            {"description": text, "metadata": metadata, "name": text}, required=("name",)
        ),
        "recurring": Group(
            {"interval": one_of(*INTERVALS), "interval_count": whole}, required=("interval",)
        ),
        "unit_amount": amount,
    },
    required=("currency",),
)
LINE = Group({"price": text, "price_data": _PRICE_DATA, "quantity": whole})


def lines_of(
    call: Call, lines: Sequence[Mapping[str, Any]], wanted: str | None
) -> tuple[tuple[Price, int], ...]:
    """What a session is to sell, in the currency that is wanted, and how many of each."""
    for place, line in enumerate(lines):
        where = f"line_items[{place}][quantity]"
        if line.get("quantity") is None:
            raise missing_parameter(where)
        if line["quantity"] < 1:
            message = "This value must be greater than or equal to 1."
            raise invalid(message, where, "parameter_invalid_integer")
    prices = [_price_of(call, line, f"line_items[{place}]") for place, line in enumerate(lines)]
    return tuple(
        (sold_in(price, wanted or price.currency, "currency"), line["quantity"])
        for price, line in zip(prices, lines, strict=True)
    )


def _price_of(call: Call, line: Mapping[str, Any], where: str) -> Price:
    named, data = line.get("price"), line.get("price_data")
    if bool(named) == bool(data):
        message = "You must specify either `price` or `price_data` for each line item."
        raise invalid(message, where)
    if named:
        return find_price(call, named, f"{where}[price]")
    return _inline_price(call, data or {}, f"{where}[price_data]")


def _inline_price(call: Call, data: Mapping[str, Any], where: str) -> Price:
    if "unit_amount" not in data:
        raise missing_parameter(f"{where}[unit_amount]")
    period = period_of(data.get("recurring"), f"{where}[recurring]")
    named, made = data.get("product"), data.get("product_data")
    if bool(named) == bool(made):
        raise missing_parameter(f"{where}[product_data]")
    if named:
        product = call.find(Product, named, "product", f"{where}[product]")
    else:
        given = made or {}
        product = call.shop.add_product(
            given["name"],
            description=given.get("description"),
            metadata=merged(None, given.get("metadata", {})),
        )
        # Stripe's inline products and prices are made inactive, so no list of offers has them.
        product.active = False
    return call.shop.add_price(
        product,
        currency=data["currency"],
        unit_minor=data["unit_amount"],
        period=period,
        active=False,
    )
