"""Meters: kept and shown, so that prices can name them; nothing here is metered."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class Meter:
    """What would count the use of something; `deactivated_at` None while it is active."""

    id: str
    created: int
    updated: int
    display_name: str
    event_name: str
    formula: str
    customer_key: str = "stripe_customer_id"
    value_key: str = "value"
    window: str | None = None
    deactivated_at: int | None = None

    @property
    def status(self) -> str:
        """Whether new prices may name it, in Stripe's word."""
        return "active" if self.deactivated_at is None else "inactive"


def meter_object(meter: Meter) -> Json:
    """Draw a meter."""
    return {
        "id": meter.id,
        "object": "billing.meter",
        "created": meter.created,
        "customer_mapping": {"event_payload_key": meter.customer_key, "type": "by_id"},
        "default_aggregation": {"formula": meter.formula},
        "display_name": meter.display_name,
        "event_name": meter.event_name,
        "event_time_window": meter.window,
        "livemode": False,
        "status": meter.status,
        "status_transitions": {"deactivated_at": meter.deactivated_at},
        "updated": meter.updated,
        "value_settings": {"event_payload_key": meter.value_key},
    }
