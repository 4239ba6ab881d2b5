"""The account's classic webhook endpoints: those of its destinations that are told snapshots."""

from dataclasses import replace

from sandbox.simulate.versions import EVERY
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
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
)
from sandbox.stripe.destinations import DEFAULT_ID, DESTINATIONS_MAX, Destination, new_secret
from sandbox.stripe.errors import invalid, missing_parameter, no_such

_DEFAULT = "The endpoint that the offline Stripe was started with"


def webhook_endpoint_object(destination: Destination, own_version: str) -> Json:
    """Draw an endpoint; `own_version` is what one without a version of its own is told in."""
    description = destination.description
    return {
        "id": destination.id,
        "object": "webhook_endpoint",
        "api_version": destination.version or own_version,
        "application": None,
        "created": destination.created,
        "description": _DEFAULT if destination.id == DEFAULT_ID else description,
        "enabled_events": list(destination.types),
        "livemode": False,
        "metadata": dict(destination.metadata),
        "status": "enabled" if destination.enabled else "disabled",
        "url": destination.url,
    }


def _endpoints(call: Call) -> Found:
    endpoints = [
        webhook_endpoint_object(one, call.shop.version.name)
        for one in reversed(call.routing.destinations)
        if one.style == "snapshot"
    ]
    return call.page(endpoints, lambda endpoint: str(endpoint["id"]))


def _the_endpoint(call: Call) -> Found:
    return webhook_endpoint_object(_the(call), call.shop.version.name)


def _the(call: Call) -> Destination:
    destination = call.routing.destination(call.id)
    if destination is None or destination.style != "snapshot":
        raise no_such("webhook_endpoint", call.id, "id")
    return destination


def _types(call: Call) -> tuple[str, ...]:
    types = call.params["enabled_events"]
    if not types:
        raise missing_parameter("enabled_events")
    for kind in types:
        if kind.startswith(("v1.", "v2.")):
            raise invalid(f"Invalid enabled_events: {kind} is a thin event.", "enabled_events")
    return tuple(types)


def _create(call: Call) -> Found:
    params, shop = call.params, call.shop
    if len(call.routing.destinations) >= DESTINATIONS_MAX:
        raise invalid(f"You have reached the maximum of {DESTINATIONS_MAX} webhook endpoints.")
    destination = Destination(
        id=shop.new_id("we"),
        url=params["url"],
        secrets=(new_secret(),),
        # Without one it is told in the account's own.
        version=params.get("api_version"),
        types=_types(call),
        description=params.get("description"),
        metadata=params.get("metadata") or {},
        created=shop.now,
        updated=shop.now,
    )
    call.routing.put_destination(destination)
    # Only here is the secret told.
    drawn = webhook_endpoint_object(destination, shop.version.name)
    return {**drawn, "secret": destination.secrets[-1].value}


def _update(call: Call) -> Found:
    before, params = _the(call), call.params
    changed = replace(
        before,
        url=params.get("url") or before.url,
        types=_types(call) if "enabled_events" in params else before.types,
        enabled=not params["disabled"] if "disabled" in params else before.enabled,
        description=params.get("description", before.description),
        metadata=merged(before.metadata, params.get("metadata") or {}),
        updated=call.shop.now,
    )
    call.routing.put_destination(changed)
    return webhook_endpoint_object(changed, call.shop.version.name)


def _delete(call: Call) -> Found:
    destination = _the(call)
    call.routing.remove_destination(destination.id)
    return {"id": destination.id, "object": "webhook_endpoint", "deleted": True}


_CREATE = Group(
    {
        "api_version": one_of(*(version.name for version in EVERY)),
        # Nobody is connected to this account.
        "connect": flag,
        "description": text,
        "enabled_events": Many(text, most=500),
        "metadata": metadata,
        "url": web_url,
    },
    required=("enabled_events", "url"),
)
_UPDATE = Group(
    {
        "description": text,
        "disabled": flag,
        "enabled_events": Many(text, most=500),
        "metadata": metadata,
        "url": web_url,
    }
)
_W = "/v1/webhook_endpoints"
ENDPOINTS = (
    Endpoint("GET", _W, Group(PAGE), _endpoints),
    Endpoint("POST", _W, _CREATE, _create),
    Endpoint("GET", f"{_W}/<id>", NOTHING, _the_endpoint),
    Endpoint("POST", f"{_W}/<id>", _UPDATE, _update),
    Endpoint("DELETE", f"{_W}/<id>", NOTHING, _delete),
)
