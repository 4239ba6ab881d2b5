"""Between the domain's values and the rows that keep them: JSON facts, compressed versions."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from db.bodies import compress, decompress
from domain.claims import Assigned, Customer, PlanClaim, UserClaim
from domain.events import Stamp
from domain.payments import (
    Dispute,
    Funds,
    IntentDetails,
    InvoiceDetails,
    Kind,
    Line,
    MoneyObject,
    Refund,
    RefundedSoFar,
    SessionDetails,
)
from domain.settlement import Payment
from domain.subscriptions import Subscription, Version, state_of

Row = dict[str, Any]


def when(seconds: int | None) -> datetime | None:
    """Seconds since 1970 as PostgreSQL takes them."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def seconds(moment: datetime | None) -> int | None:
    """A time from PostgreSQL as whole seconds since 1970."""
    return None if moment is None else int(moment.timestamp())


def customer_row(customer: Customer) -> Row:
    """A customer as its row."""
    return {
        "id": customer.id,
        "user_id": customer.user_id,
        "claimed_created": customer.stamp.created if customer.stamp else None,
        "claimed_event_id": customer.stamp.event_id if customer.stamp else None,
        "other_user_ids": sorted(customer.other_user_ids),
        "deleted_at": when(customer.deleted_created),
    }


def customer_from(row: Any) -> Customer:  # noqa: ANN401 - rows are typed by their query.
    """A customer from its row."""
    stamp = None
    if row.claimed_event_id is not None:
        stamp = Stamp(row.claimed_created, row.claimed_event_id)
    return Customer(
        row.id,
        row.user_id,
        stamp,
        frozenset(orjson.loads(row.other_user_ids)),
        seconds(row.deleted_at),
    )


def subscription_row(subscription: Subscription) -> Row:
    """A subscription as its row: what the standing version says, and the newest versions."""
    version, undecided = subscription.newest()
    claim = subscription.plan_claim
    row: Row = {
        "id": subscription.id,
        "customer_id": subscription.customer_id,
        "claimed_plan_id": claim.plan_id if claim else None,
        "claimed_plan_created": claim.stamp.created if claim else None,
        "claimed_plan_event_id": claim.stamp.event_id if claim else None,
        "versions": _versions_kept(subscription.versions),
        "undecided": undecided,
        "items": [],
        "cancel_at_period_end": False,
    }
    return row | (_state_columns(version) if version else {})


def _state_columns(version: Version) -> Row:
    state = state_of(version)
    return {
        "user_id": state.user_id,
        "status": state.status,
        "items": [
            {
                "id": item.id,
                "price_id": item.price_id,
                "quantity": item.quantity,
                "period_start": item.period_start,
                "period_end": item.period_end,
            }
            for item in state.items
        ],
        "cancel_at_period_end": state.cancel_at_period_end,
        "cancel_at": when(state.cancel_at),
        "canceled_at": when(state.canceled_at),
        "trial_end": when(state.trial_end),
        "started_at": when(state.started),
    }


def _versions_kept(versions: Sequence[Version]) -> str | None:
    """The versions as PostgreSQL reads bytea out of JSON."""
    if not versions:
        return None
    kept = [[v.created, v.event_id, v.event_type, v.object, v.previous] for v in versions]
    return "\\x" + compress(orjson.dumps(kept)).hex()


def subscription_from(row: Any) -> Subscription:  # noqa: ANN401 - as above.
    """A subscription from its row."""
    claim = None
    if row.claimed_plan_id is not None:
        stamp = Stamp(row.claimed_plan_created, row.claimed_plan_event_id)
        claim = PlanClaim(stamp, row.claimed_plan_id)
    kept = orjson.loads(decompress(bytes(row.versions))) if row.versions else []
    versions = tuple(Version(*each) for each in kept)
    return Subscription(row.id, row.customer_id, claim, versions)


def money_facts(known: MoneyObject) -> Row:
    """What is known of a money object, as the `facts` column keeps it; unknown is left out."""
    facts: Row = {
        "parents": sorted(known.parents) or None,
        "claim": [known.claim.level, *known.claim.stamp, known.claim.user_id]
        if known.claim
        else None,
        "created": known.created,
        "invoice": _invoice_facts(known.invoice) if known.invoice else None,
        "session": _session_facts(known.session) if known.session else None,
        "intent": _intent_facts(known.intent) if known.intent else None,
        "assigned_user": _assigned_facts(known.assigned_user),
        "assigned_plan": _assigned_facts(known.assigned_plan),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _assigned_facts(assigned: Assigned | None) -> list[object] | None:
    return [*assigned.stamp, assigned.value] if assigned else None


def _assigned_from(facts: Sequence[Any] | None) -> Assigned | None:
    return Assigned(Stamp(facts[0], facts[1]), facts[2]) if facts else None


def _invoice_facts(details: InvoiceDetails) -> Row:
    return {
        "rank": details.rank,
        "stamp": list(details.stamp),
        "currency": details.currency,
        "due": details.amount_due_minor,
        "paid": details.amount_paid_minor,
        "starts": details.starts_subscription,
        "lines": [list(line) for line in details.lines],
        "failed": details.has_failed,
        "url": details.receipt_url,
    }


def _session_facts(details: SessionDetails) -> Row:
    return {
        "one_time": details.is_one_time,
        "rank": details.rank,
        "payment_rank": details.payment_rank,
        "currency": details.currency,
        "total": details.amount_total_minor,
        "plan_id": details.plan_id,
        "failed": details.has_failed,
    }


def _intent_facts(details: IntentDetails) -> Row:
    return {
        "amount": details.amount_minor,
        "received": details.received_minor,
        "currency": details.currency,
        "failed": details.has_failed,
        "url": details.receipt_url,
        "refunded": {key: list(value) for key, value in (details.refunded or {}).items()} or None,
    }


def money_from(row: Any) -> MoneyObject:  # noqa: ANN401 - as above.
    """A money object from its row."""
    facts = orjson.loads(row.facts)
    claim = facts.get("claim")
    invoice, session, intent = (facts.get(key) for key in ("invoice", "session", "intent"))
    return MoneyObject(
        id=row.id,
        kind=Kind(row.kind),
        parents=frozenset(facts.get("parents", ())),
        customer_id=row.customer_id,
        subscription_id=row.subscription_id,
        claim=UserClaim(claim[0], Stamp(claim[1], claim[2]), claim[3]) if claim else None,
        created=facts.get("created"),
        invoice=_invoice_from(invoice) if invoice else None,
        session=_session_from(session) if session else None,
        intent=_intent_from(intent) if intent else None,
        assigned_user=_assigned_from(facts.get("assigned_user")),
        assigned_plan=_assigned_from(facts.get("assigned_plan")),
    )


def _invoice_from(facts: Mapping[str, Any]) -> InvoiceDetails:
    return InvoiceDetails(
        rank=facts["rank"],
        stamp=Stamp(*facts["stamp"]),
        currency=facts["currency"],
        amount_due_minor=facts["due"],
        amount_paid_minor=facts["paid"],
        starts_subscription=facts["starts"],
        lines=tuple(Line(*line) for line in facts["lines"]),
        has_failed=facts["failed"],
        receipt_url=facts["url"],
    )


def _session_from(facts: Mapping[str, Any]) -> SessionDetails:
    return SessionDetails(
        is_one_time=facts["one_time"],
        rank=facts["rank"],
        payment_rank=facts["payment_rank"],
        currency=facts["currency"],
        amount_total_minor=facts["total"],
        plan_id=facts["plan_id"],
        has_failed=facts["failed"],
    )


def _intent_from(facts: Mapping[str, Any]) -> IntentDetails:
    refunded = facts["refunded"]
    return IntentDetails(
        amount_minor=facts["amount"],
        received_minor=facts["received"],
        currency=facts["currency"],
        has_failed=facts["failed"],
        receipt_url=facts["url"],
        refunded={key: RefundedSoFar(*value) for key, value in refunded.items()}
        if refunded
        else None,
    )


def payment_row(known: MoneyObject, root_id: str, payment: Payment | None) -> Row:
    """A money object as its row; only a root carries a payment."""
    row: Row = {
        "id": known.id,
        "kind": known.kind,
        "root_id": root_id,
        "customer_id": known.customer_id,
        "subscription_id": known.subscription_id,
        "facts": money_facts(known),
        "created_at": when(known.created),
    }
    return row | (_payment_columns(payment) if payment else _NO_PAYMENT)


def _payment_columns(payment: Payment) -> Row:
    return {
        "listed": payment.listed,
        "user_id": payment.user_id,
        "status": payment.status,
        "currency": payment.currency,
        "amount_minor": payment.amount_minor,
        "refunded_minor": payment.refunded_minor,
        "disputed_minor": payment.disputed_minor,
        "plan_id": payment.plan_id,
        "plan_version": payment.plan_version,
        "tokens": payment.tokens,
        "lacks_user": payment.lacks_user,
        "lacks_plan": payment.lacks_plan,
        "receipt_url": payment.receipt_url,
    }


_NO_PAYMENT: Row = {
    "listed": False,
    "amount_minor": 0,
    "refunded_minor": 0,
    "disputed_minor": 0,
    "tokens": 0,
    "lacks_user": False,
    "lacks_plan": False,
}


def payment_from(row: Any) -> Payment:  # noqa: ANN401 - as above.
    """What the table says of a payment, from its root's row."""
    return Payment(
        id=row.id,
        listed=row.listed,
        user_id=row.user_id,
        status=row.status,
        currency=row.currency,
        amount_minor=row.amount_minor,
        refunded_minor=row.refunded_minor,
        disputed_minor=row.disputed_minor,
        plan_id=row.plan_id,
        plan_version=row.plan_version,
        tokens=row.tokens,
        lacks_plan=row.lacks_plan,
        receipt_url=row.receipt_url,
    )


def refund_row(refund: Refund) -> Row:
    """A refund as its row."""
    return {
        "id": refund.id,
        "target_id": refund.target_id,
        "status": refund.status,
        "amount_minor": refund.amount_minor,
        "failed_created": refund.failed_created,
    }


def refund_from(row: Any) -> Refund:  # noqa: ANN401 - as above.
    """A refund from its row."""
    return Refund(row.id, row.target_id, row.status, row.amount_minor, row.failed_created)


def dispute_row(dispute: Dispute) -> Row:
    """A dispute as its row."""
    return {
        "id": dispute.id,
        "target_id": dispute.target_id,
        "status": dispute.status,
        "status_created": dispute.status_created,
        "amount_minor": dispute.amount_minor,
        "funds": dispute.funds,
        "funds_created": dispute.funds_created,
    }


def dispute_from(row: Any) -> Dispute:  # noqa: ANN401 - as above.
    """A dispute from its row."""
    return Dispute(
        row.id,
        row.target_id,
        row.status,
        row.status_created,
        row.amount_minor,
        Funds(row.funds),
        row.funds_created,
    )
