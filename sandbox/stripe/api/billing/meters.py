"""Meters: made, renamed, listed, taken out of use. Nothing here is metered."""

from typing import Any

from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import NOTHING, PAGE, Group, one_of, text
from sandbox.stripe.billing.meters import Meter, meter_object
from sandbox.stripe.errors import invalid

_CREATE = Group(
    {
        "customer_mapping": Group(
            {"event_payload_key": text, "type": one_of("by_id")},
            required=("event_payload_key", "type"),
        ),
        "default_aggregation": Group(
            {"formula": one_of("count", "last", "sum")}, required=("formula",)
        ),
        "display_name": text,
        "event_name": text,
        "event_time_window": one_of("day", "hour"),
        "value_settings": Group({"event_payload_key": text}, required=("event_payload_key",)),
    },
    required=("default_aggregation", "display_name", "event_name"),
)


def _create(call: Call) -> Found:
    params, shop = call.params, call.shop
    name = params["event_name"]
    if any(one.event_name == name and one.status == "active" for one in shop.every(Meter)):
        message = f"There's already an active meter with event name {name}."
        raise invalid(message, "event_name", "resource_already_exists")
    keys: dict[str, Any] = {}
    for field, group in (("customer_key", "customer_mapping"), ("value_key", "value_settings")):
        if group in params:
            keys[field] = params[group]["event_payload_key"]
    meter = Meter(
        id=shop.new_id("mtr_test"),
        created=shop.now,
        updated=shop.now,
        display_name=params["display_name"],
        event_name=name,
        formula=params["default_aggregation"]["formula"],
        window=params.get("event_time_window"),
        **keys,
    )
    shop.keep(meter)
    shop.emit("billing.meter.created", meter_object(meter), None)
    return meter


def _meter(call: Call) -> Meter:
    return call.the(Meter, "billing meter")


def _rename(call: Call) -> Found:
    meter = _meter(call)
    meter.display_name = call.params.get("display_name") or meter.display_name
    return _told(call, meter, "updated")


def _deactivate(call: Call) -> Found:
    meter = _meter(call)
    if meter.status != "active":
        raise invalid("This meter is already inactive.")
    meter.deactivated_at = call.shop.now
    return _told(call, meter, "deactivated")


def _reactivate(call: Call) -> Found:
    meter = _meter(call)
    if meter.status == "active":
        raise invalid("This meter is already active.")
    meter.deactivated_at = None
    return _told(call, meter, "reactivated")


def _told(call: Call, meter: Meter, what: str) -> Meter:
    meter.updated = call.shop.now
    call.shop.emit(f"billing.meter.{what}", meter_object(meter), None)
    return meter


_M = "/v1/billing/meters"
ENDPOINTS = (
    Endpoint("POST", _M, _CREATE, _create),
    Endpoint(
        "GET",
        _M,
        Group({**PAGE, "status": one_of("active", "inactive")}),
        lambda call: call.listed(Meter, status=lambda meter: meter.status),
    ),
    Endpoint("GET", f"{_M}/<id>", NOTHING, _meter),
    Endpoint("POST", f"{_M}/<id>", Group({"display_name": text}), _rename),
    Endpoint("POST", f"{_M}/<id>/deactivate", NOTHING, _deactivate),
    Endpoint("POST", f"{_M}/<id>/reactivate", NOTHING, _reactivate),
)
