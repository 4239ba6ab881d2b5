"""Draws customers, prices and subscriptions as full Stripe objects.

Every field Stripe sends is there, at the path of the customer's API version. Pure: a record in,
a fresh JSON object out. Never computes a token.
"""

from typing import Any

from sandbox.simulate.contract_records import Customer, Item, Price, Subscription
from sandbox.simulate.discount_objects import old_discount

Json = dict[str, Any]

_CITIES = {
    "US": ("Oakland", "94607", "CA", "2201 Broadway"),
    "DE": ("Köln", "50667", None, "Hohe Straße 41"),
    "FR": ("Orléans", "45000", None, "12 rue de la République"),
    "JP": ("渋谷区", "150-0002", "東京都", "渋谷2-21-1"),
}


def address(customer: Customer) -> Json:
    """Return the postal address of a customer."""
    city, postal_code, state, line1 = _CITIES.get(customer.country, (None,) * 4)
    return {
        "city": city,
        "country": customer.country or None,
        "line1": line1,
        "line2": None,
        "postal_code": postal_code,
        "state": state,
    }


def stripe_list(items: list[Json], url: str) -> Json:
    """Wrap items the way Stripe embeds a list."""
    return {"object": "list", "data": items, "has_more": False, "url": url}


def customer_object(customer: Customer) -> Json:
    """Draw a customer."""
    return {
        "id": customer.id,
        "object": "customer",
        "address": address(customer) if customer.country else None,
        "balance": customer.balance_minor,
        "created": customer.created,
        "currency": customer.currency or None,
        "customer_account": customer.account_reference,
        "default_source": None,
        "delinquent": False,
        "description": customer.description,
        "discount": None,
        "email": customer.email or None,
        "invoice_prefix": customer.id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": _default_method(customer),
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": _customer_metadata(customer),
        "name": customer.name or None,
        "next_invoice_sequence": customer.invoices + 1,
        "phone": customer.phone,
        "preferred_locales": ["en-US"],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **customer.stated,
    }


def _default_method(customer: Customer) -> str | None:
    shown = customer.invoices or customer.has_default
    return (customer.method_id or None) if shown else None


def _customer_metadata(customer: Customer) -> dict[str, str]:
    if customer.metadata is not None:
        return dict(customer.metadata)
    return {"user_id": customer.user_id} if customer.linked else {}


def price_object(price: Price) -> Json:
    """Draw a price, recurring or one-time."""
    price = price.listed
    recurring = {
        "interval": price.plan.interval,
        "interval_count": price.plan.interval_count,
        "meter": price.scheme.meter,
        "trial_period_days": None,
        "usage_type": "metered" if price.metered else "licensed",
    }
    scheme, unit_minor = _billing(price)
    return {
        "id": price.id,
        "object": "price",
        "active": price.active,
        "billing_scheme": scheme,
        "created": price.created,
        "currency": price.currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": price.lookup_key,
        "metadata": dict(price.metadata),
        "nickname": price.nickname,
        "product": price.product,
        "recurring": recurring if price.plan.recurring else None,
        "tax_behavior": "unspecified",
        "tiers_mode": price.scheme.mode,
        "transform_quantity": None,
        "type": "recurring" if price.plan.recurring else "one_time",
        "unit_amount": unit_minor,
        "unit_amount_decimal": None if unit_minor is None else str(unit_minor),
    }


def _billing(price: Price) -> tuple[str, int | None]:
    """How a price is billed, and what a unit costs where that is the same for each."""
    return ("tiered", None) if price.scheme.tiers else ("per_unit", price.unit_minor)


def plan_object(price: Price) -> Json:
    """Draw the older twin of a recurring price."""
    price = price.listed
    scheme, unit_minor = _billing(price)
    return {
        "id": price.id,
        "object": "plan",
        "active": price.active,
        "amount": unit_minor,
        "amount_decimal": None if unit_minor is None else str(unit_minor),
        "billing_scheme": scheme,
        "created": price.created,
        "currency": price.currency,
        "interval": price.plan.interval,
        "interval_count": price.plan.interval_count,
        "livemode": False,
        "metadata": dict(price.metadata),
        "meter": price.scheme.meter,
        "nickname": price.nickname,
        "product": price.product,
        "tiers_mode": price.scheme.mode,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "metered" if price.metered else "licensed",
    }


def item_object(subscription: Subscription, one: Item | None = None) -> Json:
    """Draw an item of a subscription, the one it sells its plan by unless told otherwise."""
    one = one or subscription.items[subscription.place]
    item: Json = {
        "id": one.id,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": subscription.created,
        "discounts": [],
        "metadata": {},
        "plan": plan_object(one.price),
        "price": price_object(one.price),
        "subscription": subscription.id,
        "tax_rates": [],
    }
    if one.quantity is not None:
        item["quantity"] = one.quantity
    if subscription.customer.version.basil:
        item["current_period_end"] = subscription.period_end
        item["current_period_start"] = subscription.period_start
    return item


_QUIET_SUBSCRIPTION: Json = {
    "application": None,
    "application_fee_percent": None,
    "billing_cycle_anchor_config": None,
    "billing_thresholds": None,
    "collection_method": "charge_automatically",
    "days_until_due": None,
    "default_source": None,
    "default_tax_rates": [],
    "description": None,
    "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
    "livemode": False,
    "next_pending_invoice_item_invoice": None,
    "on_behalf_of": None,
    "payment_settings": {
        "payment_method_options": {
            "acss_debit": None,
            "bancontact": None,
            "card": {"network": None, "request_three_d_secure": "automatic"},
            "customer_balance": None,
            "konbini": None,
            "sepa_debit": None,
            "us_bank_account": None,
        },
        "payment_method_types": None,
        "save_default_payment_method": "off",
    },
    "pending_invoice_item_interval": None,
    "pending_setup_intent": None,
    "pending_update": None,
    "schedule": None,
    "test_clock": None,
    "transfer_data": None,
    "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
}


def _versioned_subscription(subscription: Subscription) -> Json:
    version = subscription.customer.version
    if not version.basil:
        return {
            "automatic_tax": {"enabled": False, "liability": None},
            "current_period_end": subscription.period_end,
            "current_period_start": subscription.period_start,
            "discount": old_discount(subscription.discounts, subscription.customer, subscription),
        }
    itemizing = subscription.proration_discounts and version.discount_source
    flexible = {"proration_discounts": subscription.proration_discounts} if itemizing else None
    mode: Json = {"type": "flexible" if subscription.flexible else "classic", "flexible": flexible}
    drawn: Json = {
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_mode": mode,
        "customer_account": subscription.customer.account_reference,
    }
    if version.real_pause:
        requested = {
            "subscription": {"type": "pause_requested"},
            "transitioned_at": subscription.paused_at,
            "type": "subscription",
        }
        paused = {"paused": requested} if subscription.paused_at is not None else None
        drawn |= {"billing_schedules": [], "status_details": paused}
    return drawn


def subscription_object(subscription: Subscription) -> Json:
    """Draw a subscription as it stands."""
    pause = subscription.pause_behavior
    paused = {"behavior": pause, "resumes_at": subscription.resumes_at}
    held, cut = subscription.items, subscription.lists_cut
    drawn = [item_object(subscription, one) for one in held[:cut]]
    items = stripe_list(drawn, f"/v1/subscription_items?subscription={subscription.id}")
    total = {} if subscription.customer.version.basil else {"total_count": len(held)}
    alone = len(held) == 1
    return {
        "id": subscription.id,
        "object": "subscription",
        **_QUIET_SUBSCRIPTION,
        **_versioned_subscription(subscription),
        "billing_cycle_anchor": subscription.anchor or subscription.created,
        "cancel_at": subscription.cancel_at,
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "canceled_at": subscription.canceled_at,
        "cancellation_details": {
            "comment": None,
            "feedback": None,
            "reason": subscription.cancel_reason,
        },
        "created": subscription.created,
        "currency": subscription.price.currency,
        "customer": subscription.customer.reference,
        "default_payment_method": subscription.method_id,
        "discounts": [discount.id for discount in subscription.discounts],
        "ended_at": subscription.ended_at,
        "items": {**items, **total, "has_more": len(drawn) < len(held)},
        "latest_invoice": subscription.latest_invoice,
        "metadata": dict(subscription.metadata),
        "pause_collection": paused if pause else None,
        "plan": plan_object(subscription.price) if alone else None,
        "quantity": subscription.quantity if alone else None,
        "start_date": subscription.created,
        "status": subscription.status,
        "trial_end": subscription.trial_end,
        "trial_start": subscription.trial_start,
        **subscription.stated,
    }
