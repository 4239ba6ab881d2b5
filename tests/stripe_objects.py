"""Builders of Stripe events for tests: small, of true shape, in both API generations.

`OLD` is a version before 2025-03-31 (and before 2024-10-28, so refunds are cumulative), `NEW`
one after. A builder's keyword arguments name what a test is about; the rest is realistic filler.
"""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

OLD = "2024-06-20"
NEW = "2026-03-25.dahlia"

_numbers = count(1)


def an_event(
    event_type: str,
    found: Mapping[str, Any],
    *,
    created: int = 1_700_000_000,
    api_version: str = NEW,
    event_id: str | None = None,
    previous: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An event around an object."""
    data: dict[str, Any] = {"object": dict(found)}
    if previous is not None:
        data["previous_attributes"] = dict(previous)
    return {
        "id": event_id or f"evt_{next(_numbers)}",
        "object": "event",
        "api_version": api_version,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    }


def a_session(**changes: Any) -> dict[str, Any]:
    """A completed and paid one-time checkout session for plan 4."""
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "amount_subtotal": 500,
        "amount_total": 500,
        "client_reference_id": "user_1",
        "created": 1_700_000_000,
        "currency": "usd",
        "customer": "cus_1",
        "invoice": None,
        "livemode": False,
        "metadata": {"user_id": "user_1", "plan_id": "4"},
        "mode": "payment",
        "payment_intent": "pi_1",
        "payment_status": "paid",
        "status": "complete",
        "subscription": None,
    } | changes


def a_package_session(number: int) -> dict[str, Any]:
    """Plan 4, a package, bought by a user of its own."""
    user = f"user_{number}"
    return a_session(
        id=f"cs_{number}",
        payment_intent=f"pi_{number}",
        customer=f"cus_{number}",
        client_reference_id=user,
        metadata={"user_id": user, "plan_id": "4"},
    )


def an_intent(**changes: Any) -> dict[str, Any]:
    """A succeeded payment intent."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 500,
        "amount_received": 500,
        "created": 1_700_000_000,
        "currency": "usd",
        "customer": "cus_1",
        "latest_charge": "ch_1",
        "metadata": {},
        "status": "succeeded",
    } | changes


def a_line(
    amount: int,
    price: str | None = "price_pro_usd",
    *,
    api_version: str = NEW,
    quantity: int = 1,
    proration: bool = False,
    subscription: str | None = "sub_1",
    metadata: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An invoice line; without a subscription it is a one-time item."""
    line: dict[str, Any] = {
        "id": f"il_{next(_numbers)}",
        "object": "line_item",
        "amount": amount,
        "currency": "usd",
        "quantity": quantity,
        "metadata": dict(metadata or {}),
        "period": {"start": 1_700_000_000, "end": 1_702_592_000},
    }
    item = f"si_{subscription}" if subscription else None
    if api_version < "2025-03-31":
        return line | {
            "price": {"id": price, "object": "price"} if price else None,
            "proration": proration,
            "subscription": subscription,
            "subscription_item": item,
            "type": "subscription" if subscription and not proration else "invoiceitem",
        }
    kind = "subscription_item_details" if subscription else "invoice_item_details"
    details = {"proration": proration, "subscription": subscription, "subscription_item": item}
    return line | {
        "parent": {"type": kind, kind: details},
        "pricing": {"price_details": {"price": price, "product": "prod_1"}} if price else None,
    }


def an_invoice(
    lines: Sequence[Mapping[str, Any]],
    *,
    api_version: str = NEW,
    subscription: str | None = "sub_1",
    metadata: Mapping[str, str] | None = None,
    payment_intent: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A paid invoice with these lines; `metadata` is the subscription's, as the invoice froze it.

    `payment_intent` shows only in the old shape, as with Stripe.
    """
    total = sum(line["amount"] for line in lines)
    found: dict[str, Any] = {
        "id": "in_1",
        "object": "invoice",
        "amount_due": max(total, 0),
        "amount_paid": max(total, 0),
        "billing_reason": "subscription_cycle",
        "created": 1_700_000_000,
        "currency": "usd",
        "customer": "cus_1",
        "hosted_invoice_url": "https://invoice.example/in_1",
        "lines": {"object": "list", "data": [dict(line) for line in lines], "has_more": False},
        "metadata": {},
        "status": "paid",
        "total": total,
    }
    details = {"metadata": dict(metadata or {}), "subscription": subscription}
    if api_version < "2025-03-31":
        found |= {
            "paid": True,
            "payment_intent": payment_intent,
            "subscription": subscription,
            "subscription_details": {"metadata": details["metadata"]},
        }
    elif subscription:
        parent = {"type": "subscription_details", "subscription_details": details}
        found["parent"] = parent
    else:
        found["parent"] = None
    return found | changes


def an_invoice_payment(invoice: str, intent: str) -> dict[str, Any]:
    """The link between an intent and the invoice it paid, since 2025-05-28."""
    return {
        "id": f"inpay_{next(_numbers)}",
        "object": "invoice_payment",
        "amount_paid": 500,
        "currency": "usd",
        "invoice": invoice,
        "is_default": True,
        "payment": {"type": "payment_intent", "payment_intent": intent},
        "status": "paid",
    }


def a_subscription(*, api_version: str = NEW, **changes: Any) -> dict[str, Any]:
    """An active subscription to the pro plan."""
    period = {"current_period_start": 1_700_000_000, "current_period_end": 1_702_592_000}
    item: dict[str, Any] = {
        "id": "si_sub_1",
        "object": "subscription_item",
        "price": {"id": "price_pro_usd", "object": "price"},
        "quantity": 1,
    }
    found: dict[str, Any] = {
        "id": "sub_1",
        "object": "subscription",
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "created": 1_700_000_000,
        "currency": "usd",
        "customer": "cus_1",
        "metadata": {"user_id": "user_1", "plan_id": "2"},
        "status": "active",
        "trial_end": None,
    }
    is_old = api_version < "2025-03-31"
    found["items"] = {"object": "list", "data": [item if is_old else item | period]}
    return found | (period if is_old else {}) | changes


def a_refund(**changes: Any) -> dict[str, Any]:
    """A succeeded refund of the whole of intent `pi_1`."""
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 500,
        "charge": "ch_1",
        "created": 1_700_000_100,
        "currency": "usd",
        "metadata": {},
        "payment_intent": "pi_1",
        "status": "succeeded",
    } | changes


def a_charge(**changes: Any) -> dict[str, Any]:
    """A charge of intent `pi_1`, as `charge.refunded` carries it."""
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 500,
        "amount_refunded": 500,
        "created": 1_700_000_000,
        "currency": "usd",
        "customer": "cus_1",
        "metadata": {},
        "payment_intent": "pi_1",
        "receipt_url": "https://receipt.example/ch_1",
        "refunded": True,
    } | changes


def a_dispute(**changes: Any) -> dict[str, Any]:
    """A dispute of the whole of intent `pi_1`."""
    return {
        "id": "dp_1",
        "object": "dispute",
        "amount": 500,
        "charge": "ch_1",
        "created": 1_700_000_200,
        "currency": "usd",
        "metadata": {},
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "needs_response",
    } | changes


def a_customer(**changes: Any) -> dict[str, Any]:
    """A customer that carries our user's id."""
    return {
        "id": "cus_1",
        "object": "customer",
        "created": 1_700_000_000,
        "email": "someone@example.com",
        "metadata": {"user_id": "user_1"},
    } | changes
