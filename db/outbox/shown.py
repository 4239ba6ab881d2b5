"""The `data` of messages: what the API shows of a payment, a subscription and a balance.

A test compares each with the API's own answer.
"""

from datetime import UTC, datetime
from typing import Any

from db.queries import Subscription
from domain.catalogue.plans import Catalogue
from domain.payments.derivation import Payment
from domain.payments.objects import Kind, MoneyObject

Json = dict[str, Any]


def payment(kept: Payment | None, root: MoneyObject | None, catalogue: Catalogue) -> Json | None:
    """A payment as its user sees it; None where nobody does."""
    if kept is None or root is None or not kept.listed or kept.user_id is None:
        return None
    plan = None if kept.plan_id is None else catalogue.current(kept.plan_id)
    created = None if root.created is None else datetime.fromtimestamp(root.created, UTC)
    return {
        "id": kept.id,
        "amount": kept.amount_minor,
        "amount_refunded": kept.refunded_minor,
        "amount_disputed": kept.disputed_minor,
        "currency": kept.currency,
        "status": kept.status,
        "plan_id": kept.plan_id,
        "plan_type": plan.type if plan else None,
        "subscription_id": root.subscription_id,
        "tokens": kept.tokens,
        "receipt_url": kept.receipt_url,
        "note": kept.note,
        "created_at": created,
    }


def pay_url(kept: Payment, root: MoneyObject) -> str | None:
    """Where the buyer of an unpaid invoice can pay it; a session that failed has no such page."""
    return kept.receipt_url if root.kind is Kind.INVOICE else None


def subscription(kept: Subscription) -> Json:
    """A subscription as its user sees it."""
    pause = kept.pause_collection
    return {
        "id": kept.id,
        "plan_id": kept.plan_id,
        "plan_type": kept.plan_type,
        "status": kept.status,
        "is_active": kept.is_active,
        "quantity": kept.quantity,
        "items": [{"plan_id": item.plan_id, "quantity": item.quantity} for item in kept.items],
        "current_period_start": kept.current_period_start,
        "current_period_end": kept.current_period_end,
        "cancel_at_period_end": kept.cancel_at_period_end,
        "cancel_at": kept.cancel_at,
        "canceled_at": kept.canceled_at,
        "trial_end": kept.trial_end,
        "pause_collection": (
            {"behavior": pause.behavior, "resumes_at": pause.resumes_at} if pause else None
        ),
    }


def balance(tokens: int, updated_at: datetime) -> Json:
    """A balance as its user sees it."""
    return {"balance": tokens, "updated_at": updated_at}


def removed(object_id: str) -> Json:
    """What is shown to this user no more: it is another's, or part of another payment."""
    return {"id": object_id, "removed": True}
