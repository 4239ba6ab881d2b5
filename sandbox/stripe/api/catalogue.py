"""Products."""

from collections.abc import Mapping
from typing import Any

from sandbox.simulate.contract_records import Price
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    Group,
    Many,
    amount,
    currency,
    flag,
    merged,
    metadata,
    one_of,
    short_text,
    text,
    web_url,
    whole,
)
from sandbox.stripe.api.periods import INTERVALS, period_of
from sandbox.stripe.api.searching import searching
from sandbox.stripe.errors import invalid, missing_parameter
from sandbox.stripe.goods import Product, product_object

_STATED: dict[str, Any] = {
    "images": Many(web_url, most=8),
    "marketing_features": Many(Group({"name": text}, required=("name",)), most=15),
    "shippable": flag,
    "statement_descriptor": short_text,
    "tax_code": text,
    "unit_label": text,
    "url": web_url,
}
_DEFAULT_PRICE = Group(
    {
        "currency": currency,
        "metadata": metadata,
        "recurring": Group(
            {"interval": one_of(*INTERVALS), "interval_count": whole}, required=("interval",)
        ),
        "unit_amount": amount,
    },
    required=("currency",),
)
_PRODUCT: dict[str, Any] = {
    **_STATED,
    "active": flag,
    "description": text,
    "metadata": metadata,
    "name": text,
}


def _create_product(call: Call) -> Found:
    params = call.params
    if params.get("id") in call.shop.records:
        raise invalid("Product already exists.", "id", "resource_already_exists")
    data = params.get("default_price_data")
    if data and "unit_amount" not in data:
        raise missing_parameter("default_price_data[unit_amount]")
    product = call.shop.add_product(
        params["name"],
        product_id=params.get("id") or "",
        description=params.get("description"),
        metadata=merged(None, params.get("metadata", {})),
        stated=_stated(params),
    )
    product.active = params.get("active", True)
    if data:
        price = call.shop.add_price(
            product,
            currency=data["currency"],
            unit_minor=data["unit_amount"],
            period=period_of(data.get("recurring"), "default_price_data[recurring]"),
            metadata=merged(None, data.get("metadata", {})),
        )
        call.shop.change_product(product, {"default_price": price.id})
    return product


def _stated(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in _STATED if name in params}


def _delete_product(call: Call) -> Found:
    product = call.the(Product, "product")
    if any(price.product == product.id for price in call.shop.every(Price)):
        message = (
            "This product cannot be deleted because it has one or more user-created prices. "
            "Archive it instead, by making it inactive."
        )
        raise invalid(message, "id")
    call.shop.remove_product(product)
    return {"id": product.id, "object": "product", "deleted": True}


def _update_product(call: Call) -> Found:
    product = call.the(Product, "product")
    changes = {name: value for name, value in call.params.items() if name not in _STATED}
    changes["stated"] = product.stated | _stated(call.params)
    if "name" in changes and not changes["name"]:
        raise invalid("You passed an empty string for 'name'.", "name", "parameter_invalid_empty")
    if "metadata" in changes:
        changes["metadata"] = merged(product.metadata, changes["metadata"])
    if changes.get("default_price"):
        price = call.find(Price, changes["default_price"], "price", "default_price")
        if price.product != product.id or not price.active:
            raise invalid("The default price must be an active price of the product.")
    call.shop.change_product(product, changes)
    return product


def _products(call: Call) -> Found:
    ids = call.params.get("ids")
    return call.listed(
        Product,
        lambda product: not ids or product.id in ids,
        active=lambda product: product.active,
    )


_FOUND_BY = ("active", "description", "name", "shippable", "url")
ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/products",
        Group({**_PRODUCT, "default_price_data": _DEFAULT_PRICE, "id": text}, ("name",)),
        _create_product,
    ),
    Endpoint(
        "GET", "/v1/products", Group({**DATED_PAGE, "active": flag, "ids": Many(text)}), _products
    ),
    searching("/v1/products", Product, product_object, _FOUND_BY),
    Endpoint("GET", "/v1/products/<id>", NOTHING, lambda call: call.the(Product, "product")),
    Endpoint(
        "POST",
        "/v1/products/<id>",
        Group({**_PRODUCT, "default_price": text}),
        _update_product,
    ),
    Endpoint("DELETE", "/v1/products/<id>", NOTHING, _delete_product),
)
