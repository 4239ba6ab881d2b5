"""Event destinations, as API v2 has them: every endpoint of the account, of either style."""

from dataclasses import replace

from sandbox.simulate.thin import iso
from sandbox.simulate.versions import EVERY
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.parameters import (
    NOTHING,
    Group,
    Many,
    merged,
    metadata,
    one_of,
    text,
    web_url,
    whole,
)
from sandbox.stripe.destinations import DESTINATIONS_MAX, Destination, new_secret
from sandbox.stripe.errors import invalid, missing_parameter, no_such
from sandbox.stripe.events_v2 import ping_event

_SECRET, _URL = "webhook_endpoint.signing_secret", "webhook_endpoint.url"
_VERSIONS = tuple(version.name for version in EVERY)
_ENDPOINT = Group({"url": web_url}, required=("url",))
_CREATE = Group(
    {
        "description": text,
        "enabled_events": Many(text, most=500),
        "event_payload": one_of("snapshot", "thin"),
        "events_from": Many(one_of("@self", "self"), most=1),
        "include": Many(one_of(_SECRET, _URL)),
        "metadata": metadata,
        "name": text,
        "snapshot_api_version": one_of(*_VERSIONS),
        "type": one_of("webhook_endpoint"),
        "webhook_endpoint": _ENDPOINT,
    },
    required=("enabled_events", "event_payload", "name", "type", "webhook_endpoint"),
)
_UPDATE = Group(
    {
        "description": text,
        "enabled_events": Many(text, most=500),
        "include": Many(one_of(_URL)),
        "metadata": metadata,
        "name": text,
        "webhook_endpoint": _ENDPOINT,
    }
)
_READ = Group({"include": Many(one_of(_URL))})
_LIST = Group({"include": Many(one_of(_URL)), "limit": whole})


def destination_object(destination: Destination, own_version: str, include: list[str]) -> Json:
    """Draw a destination; its address and its secret only where they are asked for."""
    is_snapshot = destination.style == "snapshot"
    version = destination.version or own_version
    return {
        "id": destination.id,
        "object": "v2.core.event_destination",
        "amazon_eventbridge": None,
        "azure_event_grid": None,
        "created": iso(destination.created),
        "description": destination.description or "",
        "enabled_events": list(destination.types),
        "event_payload": destination.style,
        "events_from": ["@self"],
        "livemode": False,
        "metadata": dict(destination.metadata),
        "name": destination.name,
        "snapshot_api_version": version if is_snapshot else None,
        "status": "enabled" if destination.enabled else "disabled",
        "status_details": None if destination.enabled else {"disabled": {"reason": "user"}},
        "type": "webhook_endpoint",
        "updated": iso(destination.updated),
        "webhook_endpoint": {
            "signing_secret": destination.secrets[-1].value if _SECRET in include else None,
            "url": destination.url if _URL in include else None,
        },
    }


def _drawn(call: Call, destination: Destination) -> Json:
    include = call.params.get("include") or []
    return destination_object(destination, call.shop.version.name, include)


def _the(call: Call) -> Destination:
    destination = call.routing.destination(call.id)
    if destination is None:
        raise no_such("event destination", call.id, "id")
    return destination


def _check_types(types: list[str], style: str) -> tuple[str, ...]:
    if not types:
        raise missing_parameter("enabled_events")
    for kind in types:
        is_thin = kind.startswith(("v1.", "v2."))
        if kind != "*" and is_thin is not (style == "thin"):
            message = f"{kind} is no type that a destination of {style} events can have."
            raise invalid(message, "enabled_events")
    return tuple(types)


def _create(call: Call) -> Found:
    params, style = call.params, call.params["event_payload"]
    version = params.get("snapshot_api_version")
    if style == "thin" and version is not None:
        raise invalid("Thin events have no API version.", "snapshot_api_version")
    if len(call.routing.destinations) >= DESTINATIONS_MAX:
        raise invalid(f"You have reached the maximum of {DESTINATIONS_MAX} event destinations.")
    destination = Destination(
        id=call.shop.new_id("ed_test"),
        url=params["webhook_endpoint"]["url"],
        secrets=(new_secret(),),
        style=style,
        # Without one it is pinned to the account's own version of this day.
        version=(version or call.shop.version.name) if style == "snapshot" else None,
        types=_check_types(params["enabled_events"], style),
        name=params["name"],
        description=params.get("description"),
        metadata=params.get("metadata") or {},
        created=call.shop.now,
        updated=call.shop.now,
    )
    call.routing.put_destination(destination)
    return _drawn(call, destination)


def _update(call: Call) -> Found:
    destination, params = _the(call), call.params
    url = (params.get("webhook_endpoint") or {}).get("url")
    types = params.get("enabled_events")
    changed = replace(
        destination,
        url=url or destination.url,
        types=_check_types(types, destination.style) if types else destination.types,
        name=params.get("name") or destination.name,
        description=params.get("description", destination.description),
        metadata=merged(destination.metadata, params.get("metadata") or {}),
        updated=call.shop.now,
    )
    call.routing.put_destination(changed)
    return _drawn(call, changed)


def _become(call: Call, *, enabled: bool) -> Found:
    changed = replace(_the(call), enabled=enabled, updated=call.shop.now)
    call.routing.put_destination(changed)
    return _drawn(call, changed)


def _delete(call: Call) -> Found:
    destination = _the(call)
    call.routing.remove_destination(destination.id)
    return {"id": destination.id, "object": "v2.core.event_destination"}


def _ping(call: Call) -> Found:
    event = ping_event(_the(call), call.shop)
    call.shop.thin_only.append(event)
    return event.payload


def _list(call: Call) -> Found:
    destinations = [_drawn(call, one) for one in reversed(call.routing.destinations)]
    limit = call.params.get("limit", 20)
    return {"data": destinations[:limit], "next_page_url": None, "previous_page_url": None}


_D = "/v2/core/event_destinations"
ENDPOINTS = (
    Endpoint("POST", _D, _CREATE, _create),
    Endpoint("GET", _D, _LIST, _list),
    Endpoint("GET", f"{_D}/<id>", _READ, lambda call: _drawn(call, _the(call))),
    Endpoint("POST", f"{_D}/<id>", _UPDATE, _update),
    Endpoint("DELETE", f"{_D}/<id>", NOTHING, _delete),
    Endpoint("POST", f"{_D}/<id>/enable", NOTHING, lambda call: _become(call, enabled=True)),
    Endpoint("POST", f"{_D}/<id>/disable", NOTHING, lambda call: _become(call, enabled=False)),
    Endpoint("POST", f"{_D}/<id>/ping", NOTHING, _ping),
)
