"""What is sold, on which terms, and how Stripe is asked for it: pure values and derivations.

Price and terms come from the catalogue alone; a buyer chooses a plan and a currency, never an
amount. The same order always asks Stripe for the same thing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.catalogue.plans import PlanType

# What Stripe takes as a reference; a longer user id is in the metadata only.
REFERENCE_LENGTH_MAX = 200
# A subscription in one of these still binds buyer and seller; `incomplete` may never begin.
LIVE_STATUSES = frozenset({"active", "trialing", "past_due", "unpaid", "paused"})
# Where what Stripe is asked for says how many days may be tried.
TRIAL_IN_PARAMS = ["subscription_data", "trial_period_days"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlanOnSale:
    """A plan version as it is on sale; `prices` in minor units, `price_ids` those of Stripe.

    Where it renews a period is `interval_count` intervals long.
    """

    plan_id: int
    version: int
    type: PlanType
    name: str
    interval: str | None
    trial_days: int
    prices: Mapping[str, int]
    price_ids: Mapping[str, str] = field(default_factory=dict)
    interval_count: int = 1

    def currency(self, asked: str | None, usual: str) -> str | None:
        """The currency to sell in; None when the one that is asked for, or any, is not offered."""
        if asked is not None:
            return asked if asked in self.prices else None
        return next((name for name in (usual, *sorted(self.prices)) if name in self.prices), None)


@dataclass(frozen=True, slots=True)
class Order:
    """What one user wants to buy; the addresses are checked."""

    user_id: str
    offer: PlanOnSale
    currency: str
    success_url: str
    cancel_url: str

    @property
    def amount_minor(self) -> int:
        """The price, in minor units of the currency."""
        return self.offer.prices[self.currency]

    @property
    def mode(self) -> str:
        """How Stripe calls this kind of sale."""
        return "subscription" if self.offer.interval else "payment"

    @property
    def fingerprint(self) -> str:
        """The same for orders that one checkout session can serve."""
        return hash_of(
            self.user_id,
            self.offer.plan_id,
            self.offer.version,
            self.currency,
            self.amount_minor,
            self.success_url,
            self.cancel_url,
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What is decided when Stripe is asked: for whom, at which price object, with a trial or not.

    Without a `price_id` the price is spelled out.
    """

    purchase_id: str
    customer_id: str
    price_id: str | None
    has_trial: bool


def hash_of(*parts: object) -> str:
    """A fixed name for these values, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def customer_key(user_id: str, attempt: int) -> str:
    """The idempotency key under which a user's customer is made."""
    return f"customer:{hashlib.sha256(user_id.encode()).hexdigest()}:{attempt}"


def session_key(purchase_id: str) -> str:
    """The idempotency key under which a purchase's checkout session is made."""
    return f"checkout:{purchase_id}"


def session_params(order: Order, terms: Terms) -> Json:
    """What Stripe is asked for: one checkout session for this order."""
    metadata = {
        "user_id": order.user_id,
        "plan_id": str(order.offer.plan_id),
        "purchase_id": terms.purchase_id,
    }
    params: Json = {
        "mode": order.mode,
        "customer": terms.customer_id,
        "line_items": [_line(order, terms)],
        "metadata": metadata,
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
    }
    if len(order.user_id) <= REFERENCE_LENGTH_MAX:
        params["client_reference_id"] = order.user_id
    # Stripe copies nothing: the subscription and the intent carry their own metadata.
    if order.mode == "subscription":
        trial = {"trial_period_days": order.offer.trial_days} if terms.has_trial else {}
        params["subscription_data"] = {"metadata": metadata, **trial}
    else:
        params["payment_intent_data"] = {"metadata": metadata}
    return params


def recurring(interval: str, interval_count: int) -> Json:
    """How Stripe is told how often a price renews; one interval is what it takes by itself."""
    counted = {"interval_count": interval_count} if interval_count > 1 else {}
    return {"interval": interval, **counted}


def _line(order: Order, terms: Terms) -> Json:
    if terms.price_id:
        return {"price": terms.price_id, "quantity": 1}
    offer = order.offer
    price: Json = {
        "currency": order.currency,
        "unit_amount": order.amount_minor,
        "product_data": {"name": offer.name, "metadata": {"plan_id": str(offer.plan_id)}},
    }
    if offer.interval:
        price["recurring"] = recurring(offer.interval, offer.interval_count)
    return {"price_data": price, "quantity": 1}


@dataclass(frozen=True, slots=True)
class SessionKnown:
    """What our tables know of a checkout session; Nones while nothing was reported.

    `is_one_time`, `is_complete`, `is_expired` and `has_failed` are the session's own.
    `payment_status` and `tokens` are the payment's: of the session's own payment, or of the first
    invoice of its subscription. `subscription_status` is that of the subscription.
    """

    is_one_time: bool
    is_complete: bool = False
    is_expired: bool = False
    has_failed: bool = False
    payment_status: str | None = None
    tokens: int = 0
    subscription_id: str | None = None
    subscription_status: str | None = None

    @property
    def status(self) -> str:
        """open, processing, complete, failed or expired: complete only once it took effect."""
        if self._has_effect:
            return "complete"
        if self.is_expired:
            return "expired"
        if not self.is_complete:
            return "open"
        has_ended = self.subscription_status == "incomplete_expired"
        return "failed" if self.has_failed or has_ended else "processing"

    @property
    def _has_effect(self) -> bool:
        is_paid = self.payment_status not in (None, "pending", "failed")
        if self.is_one_time:
            return self.is_complete and is_paid
        # What was canceled later was complete before; what is not yet begun is not.
        has_begun = self.subscription_status not in (None, "incomplete", "incomplete_expired")
        return self.is_complete and is_paid and has_begun
