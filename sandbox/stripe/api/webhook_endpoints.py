"""The account's classic webhook endpoints: those of its destinations that are told snapshots."""

from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.parameters import NOTHING, PAGE, Group
from sandbox.stripe.destinations import DEFAULT_ID, Destination
from sandbox.stripe.errors import no_such

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
    destination = call.routing.destination(call.id)
    if destination is None or destination.style != "snapshot":
        raise no_such("webhook_endpoint", call.id, "id")
    return webhook_endpoint_object(destination, call.shop.version.name)


ENDPOINTS = (
    Endpoint("GET", "/v1/webhook_endpoints", Group(PAGE), _endpoints),
    Endpoint("GET", "/v1/webhook_endpoints/<id>", NOTHING, _the_endpoint),
)
