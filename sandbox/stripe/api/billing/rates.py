"""Tax rates: made, changed, listed. Nothing here is taxed."""

from typing import Any

from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    Group,
    flag,
    merged,
    metadata,
    percent,
    text,
)
from sandbox.stripe.billing.rates import Rate, rate_object

_STATED: dict[str, Any] = {
    "country": text,
    "description": text,
    "jurisdiction": text,
    "state": text,
    "tax_type": text,
}
_CHANGEABLE: dict[str, Any] = {
    **_STATED,
    "active": flag,
    "display_name": text,
    "metadata": metadata,
}
_CREATE = Group(
    {**_CHANGEABLE, "inclusive": flag, "percentage": percent},
    required=("display_name", "inclusive", "percentage"),
)


def _create(call: Call) -> Found:
    params = call.params
    rate = Rate(
        id=call.shop.new_id("txr"),
        created=call.shop.now,
        display_name=params["display_name"],
        percentage=params["percentage"],
        inclusive=params["inclusive"],
        active=params.get("active", True),
        metadata=merged(None, params.get("metadata", {})),
        stated={name: params[name] for name in _STATED if name in params},
    )
    call.shop.keep(rate)
    call.shop.emit("tax_rate.created", rate_object(rate), None)
    return rate


def _update(call: Call) -> Found:
    rate, params = call.the(Rate, "tax rate"), call.params
    rate.display_name = params.get("display_name") or rate.display_name
    rate.active = params.get("active", rate.active)
    rate.metadata = merged(rate.metadata, params.get("metadata", {}))
    rate.stated = rate.stated | {name: params[name] for name in _STATED if name in params}
    call.shop.emit("tax_rate.updated", rate_object(rate), None, {})
    return rate


def _rates(call: Call) -> Found:
    return call.listed(Rate, active=lambda rate: rate.active, inclusive=lambda rate: rate.inclusive)


_R = "/v1/tax_rates"
ENDPOINTS = (
    Endpoint("POST", _R, _CREATE, _create),
    Endpoint("GET", _R, Group({**DATED_PAGE, "active": flag, "inclusive": flag}), _rates),
    Endpoint("GET", f"{_R}/<id>", NOTHING, lambda call: call.the(Rate, "tax rate")),
    Endpoint("POST", f"{_R}/<id>", Group(_CHANGEABLE), _update),
)
