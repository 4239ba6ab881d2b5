"""Access as everybody is shown it: the answer of the API, and what a message carries."""

from datetime import UTC, datetime
from typing import Any

from domain.access.access import Access, FeatureAccess


def shown(access: Access) -> dict[str, Any]:
    """Every feature by its name; `until` is when any of them changes by itself."""
    return {
        "features": {feature.name: _feature(feature) for feature in access.features},
        "until": _moment(access.until),
    }


def _feature(feature: FeatureAccess) -> dict[str, Any]:
    return {
        "allowed": feature.allowed,
        "limit": feature.limit,
        "why": {"code": feature.why.code, "text": feature.why.text},
        "until": _moment(feature.until),
        "plan_id": feature.plan_id,
        "held_by": feature.source_id,
        "unlocked_by": [
            {
                "plan_id": plan.plan_id,
                "plan_type": plan.plan_type,
                "name": plan.name,
                "limit": plan.limit,
                "checkout": plan.checkout,
            }
            for plan in feature.unlocked_by
        ],
    }


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
