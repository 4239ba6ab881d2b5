"""Between the domain's values and the rows that keep them: JSON facts, compressed versions."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import orjson

from db.bodies import compress, decompress
from domain.events import Stamp
from domain.payments.claims import Assigned, Customer, UserClaim
from domain.payments.credit_notes import CreditNote
from domain.payments.derivation import Payment
from domain.payments.details import (
    IntentDetails,
    InvoiceDetails,
    RefundedSoFar,
    SessionDetails,
    SessionLine,
)
from domain.payments.lines import Line
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import Dispute, Funds, Refund
from domain.payments.sold import ItemPrice, Sold, SoldItem
from domain.subscriptions.states import Version, state_of
from domain.subscriptions.versions import Subscription

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
        "alias_ids": sorted(customer.alias_ids),
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
        frozenset(orjson.loads(row.alias_ids)),
    )


def subscription_row(subscription: Subscription) -> Row:
    """A subscription as its row: what the standing version says, and the newest versions."""
    version, undecided = subscription.newest()
    claim, named = subscription.plan_claim, subscription.row_claim
    row: Row = {
        "id": subscription.id,
        "customer_id": subscription.customer_id,
        "claimed_plan_id": claim.plan_id if claim else None,
        "claimed_plan_created": claim.stamp.created if claim else None,
        "claimed_plan_event_id": claim.stamp.event_id if claim else None,
        "named_plan_id": named.plan_id if named else None,
        "named_plan_created": named.stamp.created if named else None,
        "sold": _sold_kept(subscription.sold),
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
                "metered": item.is_metered,
                "unit_amount": item.unit_amount_minor,
                "currency": item.currency,
            }
            for item in state.items
        ],
        "cancel_at_period_end": state.cancel_at_period_end,
        "cancel_at": when(state.cancel_at),
        "canceled_at": when(state.canceled_at),
        "trial_end": when(state.trial_end),
        "started_at": when(state.started),
        "pause_collection": {
            "behavior": state.pause.behavior,
            "resumes_at": state.pause.resumes_at,
        }
        if state.pause
        else None,
    }


def _sold_kept(sold: Sold) -> Row:
    kept = {
        "claims": {str(plan_id): list(stamp) for plan_id, stamp in sold.claims.items()},
        "trials": sorted((list(trial) for trial in sold.trials), key=str),
        "items": {
            item_id: [
                sorted((list(price) for price in item.prices), key=str),
                sorted(list(period) for period in item.periods),
            ]
            for item_id, item in sold.items.items()
        },
    }
    return {key: value for key, value in kept.items() if value}


def _sold_from(kept: Mapping[str, Any]) -> Sold:
    return Sold(
        claims={int(plan_id): Stamp(*stamp) for plan_id, stamp in kept.get("claims", {}).items()},
        trials=frozenset((start, end) for start, end in kept.get("trials", ())),
        items={
            item_id: SoldItem(
                frozenset(ItemPrice(*price) for price in prices),
                frozenset((start, end) for start, end in periods),
            )
            for item_id, (prices, periods) in kept.get("items", {}).items()
        },
    )


def _versions_kept(versions: Sequence[Version]) -> str | None:
    """The versions as PostgreSQL reads bytea out of JSON."""
    if not versions:
        return None
    kept = [[v.created, v.event_id, v.event_type, v.object, v.previous] for v in versions]
    return "\\x" + compress(orjson.dumps(kept)).hex()


def subscription_from(row: Any) -> Subscription:  # noqa: ANN401 - as above.
    """A subscription from its row."""
    sold = _sold_from(orjson.loads(row.sold))
    if row.claimed_plan_id is not None:
        # Kept alone before 0.2.
        stamp = Stamp(row.claimed_plan_created, row.claimed_plan_event_id)
        sold = sold.join(Sold(claims={row.claimed_plan_id: stamp}))
    kept = orjson.loads(decompress(bytes(row.versions))) if row.versions else []
    versions = tuple(Version(*each) for each in kept)
    return Subscription(row.id, row.customer_id, sold, versions)


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
        "assigned_user": _assigned(known.assigned_user),
        "assigned_plan": _assigned(known.assigned_plan),
        # Tells which payments a newly known period of a subscription concerns.
        "prorated": (known.invoice is not None and known.invoice.is_prorated) or None,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _assigned(assigned: Assigned | None) -> list[Any] | None:
    return [*assigned.stamp, assigned.value] if assigned else None


def _assigned_from(kept: Sequence[Any] | None) -> Assigned | None:
    return Assigned(Stamp(kept[0], kept[1]), kept[2]) if kept else None


def _line_kept(line: Line) -> list[Any]:
    """A line without what it leaves open at its end, which is most of it."""
    kept = [line.amount_minor, _number(line.quantity), *line[2:]]
    while len(kept) > _LINE_FIELDS_MIN and kept[-1] == _LINE_DEFAULTS[len(kept) - 1]:
        kept.pop()
    return kept


_LINE_FIELDS_MIN = len(Line._fields) - len(Line._field_defaults)
_LINE_DEFAULTS = [Line._field_defaults.get(name) for name in Line._fields]


def _number(quantity: int | Fraction) -> int | str:
    return quantity if isinstance(quantity, int) else str(quantity)


def _number_from(kept: int | str) -> int | Fraction:
    return kept if isinstance(kept, int) else Fraction(kept)


def _line_from(kept: Sequence[Any]) -> Line:
    amount_minor, quantity, *rest = kept
    return Line(amount_minor, _number_from(quantity), *rest)


def _invoice_facts(details: InvoiceDetails) -> Row:
    return {
        "rank": details.rank,
        "stamp": list(details.stamp),
        "currency": details.currency,
        "due": details.amount_due_minor,
        "paid": details.amount_paid_minor,
        "starts": details.starts_subscription,
        "lines": [_line_kept(line) for line in details.lines],
        "failed": details.has_failed,
        "url": details.receipt_url,
        "total": details.total_minor,
        **({"noted": details.noted_minor} if details.noted_minor else {}),
        **({"cut": True} if details.is_cut else {}),
        **({"old": True} if details.lacks_periods else {}),
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
        "subtotal": details.amount_subtotal_minor,
        "named": {str(plan_id): created for plan_id, created in details.named.items()},
        **(
            {}
            if details.lines is None
            else {"lines": [[line.price_id, _number(line.quantity)] for line in details.lines]}
        ),
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
        lines=tuple(_line_from(line) for line in facts["lines"]),
        has_failed=facts["failed"],
        receipt_url=facts["url"],
        total_minor=facts.get("total"),
        noted_minor=facts.get("noted", 0),
        is_cut=facts.get("cut", False),
        lacks_periods="total" not in facts or facts.get("old", False),
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
        amount_subtotal_minor=facts.get("subtotal"),
        lines=_session_lines_from(facts.get("lines")),
        named={int(plan_id): created for plan_id, created in facts.get("named", {}).items()},
    )


def _session_lines_from(kept: Sequence[Any] | None) -> tuple[SessionLine, ...] | None:
    if kept is None:
        return None
    return tuple(SessionLine(price_id, _number_from(quantity)) for price_id, quantity in kept)


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
        "credited_minor": payment.credited_minor,
        "note": payment.note,
        "loose_ends": list(payment.loose_ends) or None,
        "question": payment.question,
        "question_subject": payment.question_subject,
    }


_NO_PAYMENT: Row = {
    "listed": False,
    "amount_minor": 0,
    "refunded_minor": 0,
    "disputed_minor": 0,
    "credited_minor": 0,
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
        credited_minor=row.credited_minor,
        note=row.note,
        loose_ends=tuple(orjson.loads(row.loose_ends)) if row.loose_ends else (),
        question=row.question,
        question_subject=row.question_subject,
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
        "currency": dispute.currency,
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
        row.currency,
    )


def credit_note_row(note: CreditNote) -> Row:
    """A credit note as its row."""
    return {
        "id": note.id,
        "target_id": note.target_id,
        "amount_minor": note.amount_minor,
        "is_void": note.is_void,
        "refunds": dict(note.refunds),
    }


def credit_note_from(row: Any) -> CreditNote:  # noqa: ANN401 - as above.
    """A credit note from its row."""
    refunds = orjson.loads(row.refunds)
    return CreditNote(row.id, row.target_id, row.amount_minor, row.is_void, refunds)
