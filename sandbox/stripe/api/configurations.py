"""Portal configurations: made, changed, listed."""

from collections.abc import Mapping
from typing import Any

from sandbox.simulate.contract_records import Price
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.finding import check_price
from sandbox.stripe.api.parameters import (
    NOTHING,
    PAGE,
    Group,
    Many,
    flag,
    merged,
    metadata,
    one_of,
    text,
    web_url,
    whole,
)
from sandbox.stripe.configurations import configuration, configurations
from sandbox.stripe.errors import invalid, missing_parameter, no_such
from sandbox.stripe.goods import Product
from sandbox.stripe.portals import (
    PortalConfiguration,
    closed_features,
    configuration_object,
    with_features,
)

_REASONS = (
    *("customer_service", "low_quality", "missing_features", "other", "switched_service"),
    *("too_complex", "too_expensive", "unused"),
)
_SWITCH = Group({"enabled": flag}, required=("enabled",))
_PRORATIONS = one_of("always_invoice", "create_prorations", "none")
_PRODUCT = Group(
    {
        "adjustable_quantity": Group(
            {"enabled": flag, "maximum": whole, "minimum": whole}, required=("enabled",)
        ),
        "prices": Many(text),
        "product": text,
    },
    required=("prices", "product"),
)
_FEATURES = Group(
    {
        "customer_update": Group(
            {
                "allowed_updates": Many(
                    one_of("address", "email", "name", "phone", "shipping", "tax_id")
                ),
                "enabled": flag,
            }
        ),
        "invoice_history": _SWITCH,
        "payment_method_update": Group({"enabled": flag}, required=("enabled",)),
        "subscription_cancel": Group(
            {
                "cancellation_reason": Group({"enabled": flag, "options": Many(one_of(*_REASONS))}),
                "enabled": flag,
                "mode": one_of("at_period_end", "immediately"),
                "proration_behavior": _PRORATIONS,
            }
        ),
        "subscription_update": Group(
            {
                "default_allowed_updates": Many(one_of("price", "promotion_code", "quantity")),
                "enabled": flag,
                "products": Many(_PRODUCT, most=10),
                "proration_behavior": _PRORATIONS,
            }
        ),
    }
)
_FIELDS: dict[str, Any] = {
    "business_profile": Group(
        {"headline": text, "privacy_policy_url": web_url, "terms_of_service_url": web_url}
    ),
    "default_return_url": web_url,
    "features": _FEATURES,
    "login_page": Group({"enabled": flag}, required=("enabled",)),
    "metadata": metadata,
    "name": text,
}


def the_configuration(call: Call, configuration_id: str, param: str) -> PortalConfiguration:
    """The configuration that a request names."""
    found = configuration(call.shop, configuration_id)
    if found is None:
        raise no_such("configuration", configuration_id, param)
    return found


def _create(call: Call) -> Found:
    params = call.params
    features = closed_features(_stated(call, {}))
    _check(features)
    made = PortalConfiguration(
        id=call.shop.new_id("bpc"),
        created=call.shop.now,
        updated=call.shop.now,
        features=features,
        return_url=params.get("default_return_url"),
        business=params.get("business_profile", {}),
        name=params.get("name"),
        has_login=params.get("login_page", {}).get("enabled", False),
        metadata=merged(None, params.get("metadata", {})),
    )
    call.shop.keep(made)
    drawn = configuration_object(made)
    call.shop.emit("billing_portal.configuration.created", drawn, None)
    return drawn


def _update(call: Call) -> Found:
    found, params = the_configuration(call, call.id, "id"), call.params
    if found.is_default and params.get("active") is False:
        raise invalid("The default configuration cannot be made inactive.", "active")
    before = configuration_object(found)
    stated = _stated(call, found.features)
    features = with_features(found.features, stated)
    _check(features, is_default=found.is_default)
    found.features = features
    found.cancels_either &= "mode" not in stated.get("subscription_cancel", {})
    found.active = params.get("active", found.active)
    found.name = params.get("name", found.name)
    found.return_url = params.get("default_return_url", found.return_url)
    found.business = found.business | params.get("business_profile", {})
    found.has_login = params.get("login_page", {}).get("enabled", found.has_login)
    if "metadata" in params:
        found.metadata = merged(found.metadata, params["metadata"])
    if configuration_object(found) == before:
        return before
    found.updated = call.shop.now
    call.shop.keep(found)
    drawn = configuration_object(found)
    previous = {name: value for name, value in before.items() if drawn[name] != value}
    call.shop.emit("billing_portal.configuration.updated", drawn, None, previous)
    return drawn


def _stated(call: Call, before: Mapping[str, Any]) -> dict[str, Any]:
    """The features that a request states, their products found."""
    stated: dict[str, Any] = dict(call.params.get("features") or {})
    for name, fields in stated.items():
        if "enabled" not in fields and not before:
            raise missing_parameter(f"features[{name}][enabled]")
    update = stated.get("subscription_update", {})
    if "products" in update:
        where = "features[subscription_update][products]"
        products = [
            _product(call, product, f"{where}[{place}]")
            for place, product in enumerate(update["products"])
        ]
        stated["subscription_update"] = {**update, "products": products}
    return stated


def _product(call: Call, said: Mapping[str, Any], where: str) -> dict[str, Any]:
    product = call.find(Product, said["product"], "product", f"{where}[product]")
    for place, price_id in enumerate(said["prices"]):
        param = f"{where}[prices][{place}]"
        price = call.find(Price, price_id, "price", param)
        if price.product != product.id:
            raise invalid(f"The price {price_id} does not belong to {product.id}.", param)
        if not price.active or not price.plan.recurring:
            raise invalid(f"The price {price_id} must be active and recurring.", param)
        check_price(price, param)
    quantity = {"enabled": False, "maximum": None, "minimum": 1}
    return {
        "adjustable_quantity": {**quantity, **said.get("adjustable_quantity", {})},
        "prices": list(said["prices"]),
        "product": product.id,
    }


def _check(features: Mapping[str, Any], *, is_default: bool = False) -> None:
    update, cancel = features["subscription_update"], features["subscription_cancel"]
    if update["enabled"]:
        for name in ("default_allowed_updates", "products"):
            # The untouched default offers every price.
            if not update[name] and not (is_default and update[name] is None):
                raise missing_parameter(f"features[subscription_update][{name}]")
    where = "features[subscription_cancel][proration_behavior]"
    if cancel["proration_behavior"] == "always_invoice":
        raise invalid("Passing `always_invoice` is not supported.", where)
    if cancel["proration_behavior"] != "none" and cancel["mode"] != "immediately":
        message = "`create_prorations` is only compatible with `mode=immediately`."
        raise invalid(message, where)


def _list(call: Call) -> Found:
    wanted = {name: call.params[name] for name in ("active", "is_default") if name in call.params}
    drawn = (configuration_object(one) for one in configurations(call.shop))
    shown = [one for one in drawn if all(one[name] == value for name, value in wanted.items())]
    return call.page(shown, lambda one: str(one["id"]))


def _retrieve(call: Call) -> Found:
    return configuration_object(the_configuration(call, call.id, "id"))


_C = "/v1/billing_portal/configurations"
ENDPOINTS = (
    Endpoint("POST", _C, Group(_FIELDS, required=("features",)), _create),
    Endpoint("GET", _C, Group({**PAGE, "active": flag, "is_default": flag}), _list),
    Endpoint("GET", f"{_C}/<id>", NOTHING, _retrieve),
    Endpoint("POST", f"{_C}/<id>", Group({**_FIELDS, "active": flag}), _update),
)
