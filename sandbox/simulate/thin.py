"""Thin events as Stripe sends them: what happened to which object, and nothing of the object.

A thin event is told of every snapshot event, in no version, under an id of its own. It also tells
of what endpoints of an older version are not told. Pure.
"""

from datetime import UTC, datetime

from sandbox.simulate.engine import Event
from sandbox.simulate.objects import Json

OBJECT = "v2.core.event"
TYPE_PREFIX = "v1."
ID_PREFIX = "evt_test_"
# Where each kind of object is answered, before its id.
PLACES = {
    "charge": "/v1/charges/",
    "checkout.session": "/v1/checkout/sessions/",
    "coupon": "/v1/coupons/",
    "credit_note": "/v1/credit_notes/",
    "customer": "/v1/customers/",
    "dispute": "/v1/disputes/",
    "invoice": "/v1/invoices/",
    "invoice_payment": "/v1/invoice_payments/",
    "payment_intent": "/v1/payment_intents/",
    "payment_method": "/v1/payment_methods/",
    "price": "/v1/prices/",
    "product": "/v1/products/",
    "promotion_code": "/v1/promotion_codes/",
    "refund": "/v1/refunds/",
    "subscription": "/v1/subscriptions/",
}


def thin_id(event_id: str) -> str:
    """The id of the thin event that tells of a snapshot event."""
    return f"{ID_PREFIX}{event_id.removeprefix('evt_')}"


def iso(seconds: int, millisecond: int = 0) -> str:
    """A time as API v2 writes it."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millisecond % 1000:03d}Z"


def thin_event(event: Event, millisecond: int, *, names_twin: bool = True) -> Json:
    """The thin event of an event, which happened in that millisecond of its second.

    `names_twin` says whether it names the snapshot event; what has none is told all the same.
    """
    payload = event.payload
    drawn, request = payload["data"]["object"], payload["request"]
    reason = {"type": "request", "request": request} if request["id"] else None
    place = PLACES.get(str(drawn.get("object")))
    related = None
    if place and drawn.get("id"):
        url = f"{place}{drawn['id']}"
        related = {"id": drawn["id"], "type": drawn["object"], "url": url}
    twin = None if event.thin_only or not names_twin else event.id
    return {
        "id": thin_id(event.id),
        "object": OBJECT,
        "type": f"{TYPE_PREFIX}{event.type}",
        "livemode": False,
        "created": iso(event.created, millisecond),
        "context": payload.get("account") or payload.get("context"),
        "reason": reason,
        "related_object": related,
        "snapshot_event": twin,
    }
