"""An event that we hold as parsed JSON, as the queues keep one that Stripe delivered."""

import time
from collections.abc import Mapping
from typing import Any

import orjson

from db.bodies import compress
from domain.events import Delivery


def as_delivery(event: Mapping[str, Any]) -> Delivery:
    """The event as received now; it must have an id, a type and a time."""
    return Delivery(
        event_id=event["id"],
        event_type=event["type"],
        created=event["created"],
        received_ms=int(time.time() * 1000),
        body=compress(orjson.dumps(event)),
    )
