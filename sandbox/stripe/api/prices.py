"""Prices of products."""

from collections.abc import Mapping
from typing import Any

from sandbox.simulate.contract_records import Price
from sandbox.simulate.objects import price_object
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    Group,
    Many,
    currency,
    flag,
    merged,
    metadata,
    one_of,
    short_text,
    text,
)
from sandbox.stripe.api.periods import INTERVALS, period_of
from sandbox.stripe.api.pricing import RULES as PRICING
from sandbox.stripe.api.pricing import check_options, in_currencies, is_metered, scheme_of
from sandbox.stripe.api.searching import searching
from sandbox.stripe.errors import invalid, missing_parameter
from sandbox.stripe.goods import Product

_PRODUCT_DATA = Group(
    {"active": flag, "id": text, "metadata": metadata, "name": text}, required=("name",)
)
_CHANGEABLE: dict[str, Any] = {
    "active": flag,
    "currency_options": in_currencies,
    "lookup_key": short_text,
    "metadata": metadata,
    "nickname": text,
    "transfer_lookup_key": flag,
}
_PRICE = Group(
    {
        **_CHANGEABLE,
        **PRICING,
        "currency": currency,
        "product": text,
        "product_data": _PRODUCT_DATA,
    },
    required=("currency",),
)
_PRICES: dict[str, Any] = {
    **DATED_PAGE,
    "active": flag,
    "currency": currency,
    "lookup_keys": Many(text, most=10),
    "product": text,
    "recurring": Group(
        {"interval": one_of(*INTERVALS), "usage_type": one_of("licensed", "metered")}
    ),
    "type": one_of("one_time", "recurring"),
}


def _create_price(call: Call) -> Found:
    params = call.params
    scheme, options = scheme_of(call), params.get("currency_options", {})
    check_options(options, params["currency"], scheme)
    price = call.shop.add_price(
        _product_of(call),
        currency=params["currency"],
        unit_minor=params.get("unit_amount", 0),
        period=period_of(params.get("recurring"), "recurring"),
        lookup_key=_lookup_key(call, None),
        nickname=params.get("nickname"),
        metadata=merged(None, params.get("metadata", {})),
        active=params.get("active", True),
        metered=is_metered(call),
        scheme=scheme,
    )
    call.shop.sell_in(price, options)
    return price


def _product_of(call: Call) -> Product:
    named, data = call.params.get("product"), call.params.get("product_data")
    if named and data:
        raise invalid("You may only specify one of these parameters: product, product_data.")
    if named:
        return call.find(Product, named, "product", "product")
    if not data:
        raise missing_parameter("product")
    words = merged(None, data.get("metadata", {}))
    return call.shop.add_product(
        data["name"], product_id=data.get("id") or "", description=None, metadata=words
    )


def _lookup_key(call: Call, own: Price | None) -> str | None:
    """The lookup key to give, free or taken over from the price that has it."""
    key = call.params.get("lookup_key")
    holder = next(
        (one for one in call.shop.every(Price) if key and one.lookup_key == key and one is not own),
        None,
    )
    if holder and not call.params.get("transfer_lookup_key"):
        message = f"A price (`{holder.id}`) already uses that lookup key."
        raise invalid(message, "lookup_key", "resource_already_exists")
    if holder:
        call.shop.change_price(holder, {"lookup_key": None})
    return str(key) if key else None


def _update_price(call: Call) -> Found:
    price = call.the(Price, "price")
    kept = ("currency_options", "transfer_lookup_key")
    changes = {name: value for name, value in call.params.items() if name not in kept}
    options = call.params.get("currency_options", {})
    check_options(options, price.currency, price.scheme)
    if changes.get("active") is False:
        for product in call.shop.every(Product):
            if product.default_price == price.id:
                message = (
                    "This price cannot be archived because it is the default price of its product."
                )
                raise invalid(message, "active")
    if "lookup_key" in changes:
        changes["lookup_key"] = _lookup_key(call, price)
    if "metadata" in changes:
        changes["metadata"] = merged(price.metadata, changes["metadata"])
    call.shop.sell_in(price, options)
    call.shop.change_price(price, changes)
    return price


def _prices(call: Call) -> Found:
    keys, recurring = call.params.get("lookup_keys"), call.params.get("recurring") or {}
    return call.listed(
        Price,
        lambda price: (not keys or price.lookup_key in keys) and _renews(price, recurring),
        active=lambda price: price.active,
        currency=lambda price: price.currency,
        product=lambda price: price.product,
        type=_type_of,
    )


def _renews(price: Price, wanted: Mapping[str, str]) -> bool:
    """Whether a price renews as a request wants it to; every price does where it wants nothing."""
    recurring = price_object(price)["recurring"] or {}
    return all(recurring.get(name) == word for name, word in wanted.items())


def _type_of(price: Price) -> str:
    return "recurring" if price.plan.recurring else "one_time"


_FOUND_BY = ("active", "currency", "lookup_key", "product", "type")
ENDPOINTS = (
    Endpoint("POST", "/v1/prices", _PRICE, _create_price),
    Endpoint("GET", "/v1/prices", Group(_PRICES), _prices),
    searching("/v1/prices", Price, price_object, _FOUND_BY),
    Endpoint("GET", "/v1/prices/<id>", NOTHING, lambda call: call.the(Price, "price")),
    Endpoint("POST", "/v1/prices/<id>", Group(_CHANGEABLE), _update_price),
)
