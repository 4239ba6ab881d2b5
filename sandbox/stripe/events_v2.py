"""Events that exist only in API v2: the ping of a destination, and failures of Stripe's own."""

import hashlib

import orjson

from sandbox.simulate.engine import Event
from sandbox.simulate.objects import Json
from sandbox.simulate.thin import ID_PREFIX, OBJECT, PLACES, iso
from sandbox.stripe.agenda import Shop
from sandbox.stripe.destinations import Destination

PING = "v2.core.event_destination.ping"
FAILURE = "v2.core.health.event_generation_failure.resolved"


def ping_event(destination: Destination, shop: Shop) -> Event:
    """What a destination is sent to see whether it answers."""
    related = {
        "id": destination.id,
        "type": "event_destination",
        "url": f"/v2/core/event_destinations/{destination.id}",
    }
    return _event(PING, shop, related=related, data=None)


def failure_event(event: Event, shop: Shop) -> Event:
    """That Stripe failed to make an event, and is well again; only this tells of it."""
    drawn = event.payload["data"]["object"]
    kind = str(drawn["object"])
    impact = {
        "context": None,
        "event_type": event.type,
        "related_object": {
            "id": drawn["id"],
            "type": kind,
            "url": f"{PLACES.get(kind, '/v1/')}{drawn['id']}",
        },
    }
    data = {
        "alert_id": f"alert_{event.id[4:]}",
        "grouping_key": event.id,
        "impact": impact,
        "resolved_at": iso(shop.now),
        "summary": f"{event.type} was not generated",
    }
    return _event(FAILURE, shop, related=None, data=data)


def _event(kind: str, shop: Shop, *, related: Json | None, data: Json | None) -> Event:
    what = f"{shop.run}:{kind}:{related}:{data}:{shop.now}:{len(shop.thin_only)}"
    event_id = f"{ID_PREFIX}{hashlib.sha256(what.encode()).hexdigest()[:32]}"
    body: Json = {
        "id": event_id,
        "object": OBJECT,
        "type": kind,
        "livemode": False,
        "created": iso(shop.now),
        "context": None,
        "reason": None,
        "related_object": related,
        "data": data,
    }
    return Event(event_id, kind, shop.now, "", "", orjson.dumps(body), thin_only=True)
