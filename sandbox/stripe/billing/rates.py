"""Tax rates: kept and shown; nothing here is taxed."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class Rate:
    """A tax rate."""

    id: str
    created: int
    display_name: str
    percentage: float
    inclusive: bool
    active: bool = True
    metadata: dict[str, str] = field(default_factory=dict)
    # Fields as a request stated them; nothing acts on them.
    stated: dict[str, Any] = field(default_factory=dict)


def rate_object(rate: Rate) -> Json:
    """Draw a tax rate."""
    return {
        "id": rate.id,
        "object": "tax_rate",
        "active": rate.active,
        "country": None,
        "created": rate.created,
        "description": None,
        "display_name": rate.display_name,
        "effective_percentage": rate.percentage,
        "flat_amount": None,
        "inclusive": rate.inclusive,
        "jurisdiction": None,
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": dict(rate.metadata),
        "percentage": rate.percentage,
        "rate_type": "percentage",
        "state": None,
        "tax_type": None,
        **rate.stated,
    }
