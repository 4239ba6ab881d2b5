"""Portal configurations: what visitors of the customer portal are offered. No I/O."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
DEFAULT_ID = "bpc_1OfflineDefault"
# The default one is as old as any account can be.
_SINCE = 1_735_689_600
_REASONS = ("too_expensive", "missing_features", "switched_service", "unused", "other")
_QUIET: Json = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {
            "enabled": False,
            "feedback_options": None,
            "options": list(_REASONS),
        },
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": None,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
# Until somebody says otherwise the portal of an account offers all that it can.
_OPEN: Mapping[str, Json] = {
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True},
    "subscription_update": {
        "default_allowed_updates": ["price"],
        "enabled": True,
        "proration_behavior": "always_invoice",
    },
}
# Nobody pauses a subscription in this portal.
_NO_PAUSE: Json = {
    "duration": {
        "interval_options": [{"interval": "month", "interval_count": 1}],
        "type": "interval_options",
    },
    "enabled": False,
}


@dataclass(slots=True)
class PortalConfiguration:
    """What a portal offers; `cancels_either` leaves it to the visitor when a contract ends."""

    id: str
    created: int
    updated: int
    features: dict[str, Any]
    active: bool = True
    name: str | None = None
    return_url: str | None = None
    business: dict[str, Any] = field(default_factory=dict)
    has_login: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    cancels_either: bool = False

    @property
    def is_default(self) -> bool:
        """Whether visits that name none have this one."""
        return self.id == DEFAULT_ID

    @property
    def cancel_moments(self) -> tuple[str, ...]:
        """When a visitor may let a contract end: `period_end`, `now`; nothing means never."""
        feature = self.features["subscription_cancel"]
        if not feature["enabled"]:
            return ()
        if self.cancels_either:
            return ("period_end", "now")
        return ("now",) if feature["mode"] == "immediately" else ("period_end",)

    @property
    def switches(self) -> bool:
        """Whether a visitor may switch to another price."""
        feature = self.features["subscription_update"]
        return bool(feature["enabled"]) and "price" in feature["default_allowed_updates"]

    @property
    def price_ids(self) -> frozenset[str] | None:
        """The prices that can be switched to; None for every one."""
        products = self.features["subscription_update"]["products"]
        if products is None:
            return None
        return frozenset(price for product in products for price in product["prices"])


def with_features(before: Mapping[str, Json], stated: Mapping[str, Json]) -> Json:
    """Features after a request stated some of their fields."""
    after = deepcopy(dict(before))
    for name, fields in stated.items():
        reason = fields.get("cancellation_reason")
        joined = {**after[name], **fields}
        if reason is not None:
            joined["cancellation_reason"] = {**after[name]["cancellation_reason"], **reason}
        after[name] = joined
    return after


def closed_features(stated: Mapping[str, Json]) -> Json:
    """The features of a new configuration: what nobody states is not offered."""
    return with_features(_QUIET, stated)


def default_configuration() -> PortalConfiguration:
    """The default configuration before anybody has changed it."""
    features = closed_features(_OPEN)
    return PortalConfiguration(DEFAULT_ID, _SINCE, _SINCE, features, cancels_either=True)


def configuration_object(one: PortalConfiguration) -> Json:
    """Draw a configuration."""
    business = {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None}
    page = f"https://billing.stripe.com/p/login/test_{one.id[4:]}"
    return {
        "id": one.id,
        "object": "billing_portal.configuration",
        "active": one.active,
        "application": None,
        "business_profile": {**business, **one.business},
        "created": one.created,
        "default_return_url": one.return_url,
        "features": {**deepcopy(one.features), "subscription_pause": deepcopy(_NO_PAUSE)},
        "is_default": one.is_default,
        "livemode": False,
        "login_page": {"enabled": one.has_login, "url": page if one.has_login else None},
        "metadata": dict(one.metadata),
        "name": one.name,
        "updated": one.updated,
    }
