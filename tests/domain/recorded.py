"""What the recorded events of `tests/fixtures/stripe` say, as facts, written out by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from domain.decode import Decoded, decode, parse
from domain.decode.facts import Fact
from domain.events import Stamp
from domain.payments.claims import Customer, UserClaim
from domain.payments.credit_notes import CreditNote
from domain.payments.details import IntentDetails, InvoiceDetails, RefundedSoFar, SessionDetails
from domain.payments.lines import Line
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import Dispute, Funds, Refund
from domain.subscriptions.states import Item, SubscriptionState

FIXTURES = Path(__file__).parents[1] / "fixtures" / "stripe"

# Every fixture is decoded as if it were this event at this time, so that facts can be written.
AT, EVENT = 1_772_500_000, "evt_1"
STAMP = Stamp(AT, EVENT)
START, MONTH, DAY = 1_772_000_000, 2_678_400, 86_400
USER, CUSTOMER, SUBSCRIPTION = "user_7201", "cus_T5fikoAnna01", "sub_1T5fikoPro01"
INVOICE, INTENT, CHARGE = "in_1T5fikoInv01", "pi_3T5fikoInvoice01", "ch_3T5fikoInvoice01"
HOSTED = "https://invoice.stripe.com/i/acct_1T5fikoBilling/"
LINK = Customer(CUSTOMER, USER, STAMP)


def recorded(event_type: str, shape: str) -> dict[str, Any]:
    """A recorded event as Stripe sends it in the old or the new shape."""
    found: dict[str, Any] = orjson.loads((FIXTURES / f"{event_type}.{shape}.json").read_bytes())
    return found


def decoded(event_type: str, shape: str) -> Decoded:
    """What a recorded event says, with its id and time replaced by fixed ones."""
    return decode(parse(recorded(event_type, shape) | {"id": EVENT, "created": AT}))


def said_by(level: int) -> UserClaim:
    """The claim of the buyer at one of the places that name users."""
    return UserClaim(level, STAMP, USER)


def a_stub(object_id: str, kind: Kind, *parents: str) -> MoneyObject:
    """An object that was only named, with what it belongs to."""
    return MoneyObject(object_id, kind, parents=frozenset(parents))


def a_session_fact(session_id: str, rank: int, payment_rank: int, **changes: Any) -> MoneyObject:
    """A session of the buyer for the token package."""
    is_one_time = changes.pop("is_one_time", True)
    total, plan = (500, 4) if is_one_time else (2_900, 2)
    has_failed = changes.pop("has_failed", False)
    return MoneyObject(
        session_id,
        Kind.SESSION,
        customer_id=CUSTOMER,
        claim=said_by(1),
        created=START - 120,
        session=SessionDetails(
            is_one_time,
            rank,
            payment_rank,
            "usd",
            total,
            plan,
            has_failed,
            amount_subtotal_minor=total,
            named={plan: AT},
        ),
    )


def an_invoice_fact(invoice_id: str, rank: int, paid: int, **changes: Any) -> MoneyObject:
    """An invoice over one month of the pro plan."""
    return MoneyObject(
        invoice_id,
        Kind.INVOICE,
        customer_id=CUSTOMER,
        subscription_id=SUBSCRIPTION,
        claim=said_by(3),
        created=START if changes.get("starts_subscription") else START + MONTH,
        invoice=InvoiceDetails(
            rank=rank,
            stamp=STAMP,
            currency="usd",
            amount_due_minor=2_900,
            amount_paid_minor=paid,
            starts_subscription=changes.get("starts_subscription", False),
            lines=(a_month_of_pro(START if changes.get("starts_subscription") else START + MONTH),),
            has_failed=changes.get("has_failed", False),
            receipt_url=HOSTED + invoice_id,
            total_minor=2_900,
        ),
    )


def a_month_of_pro(start: int) -> Line:
    """A line over one month of the pro plan."""
    return Line(
        2_900,
        1,
        "price_1T5fikoProUsd",
        is_proration=False,
        from_subscription=True,
        plan_id=2,
        item_id="si_T5fikoItem01",
        period_start=start,
        period_end=start + MONTH,
        unit_amount_minor=2_900,
    )


def an_intent_fact(intent_id: str, details: IntentDetails, *parents: str) -> MoneyObject:
    """An intent of the buyer."""
    return MoneyObject(
        intent_id,
        Kind.INTENT,
        parents=frozenset(parents),
        customer_id=CUSTOMER,
        claim=said_by(1) if intent_id == "pi_3T5fikoPack07" else None,
        created=START,
        intent=details,
    )


def a_refunded_intent(refunded: Mapping[str, RefundedSoFar] | None, *parents: str) -> MoneyObject:
    """What `charge.refunded` says of the intent behind the charge."""
    receipt = f"https://pay.stripe.com/receipts/payment/{CHARGE}"
    details = IntentDetails(currency="usd", receipt_url=receipt, refunded=refunded)
    return MoneyObject(
        INTENT, Kind.INTENT, parents=frozenset(parents), customer_id=CUSTOMER, intent=details
    )


def a_refund_fact(status: str, failed_created: int | None = None) -> tuple[Fact, ...]:
    """A refund of 10.00 of the invoice's intent, and where it takes from."""
    return (
        a_stub(INTENT, Kind.INTENT),
        a_stub(CHARGE, Kind.CHARGE, INTENT),
        Refund("re_3T5fikoInvoice01", INTENT, status, 1_000, failed_created),
    )


def a_dispute_fact(status: str, funds: Funds = Funds.UNTOUCHED) -> tuple[Fact, ...]:
    """A dispute of the whole package, and where it takes from."""
    intent, charge = "pi_3T5fikoPack01", "ch_3T5fikoPack01"
    moved = 0 if funds is Funds.UNTOUCHED else AT
    return (
        a_stub(intent, Kind.INTENT),
        a_stub(charge, Kind.CHARGE, intent),
        Dispute("dp_1T5fikoPack01", intent, status, AT, 500, funds, moved, "usd"),
    )


def a_credit_note_fact(*, is_void: bool = False) -> tuple[Fact, ...]:
    """A credit note of 10.00 on the first invoice, paid out by the refund."""
    refunds = {"re_3T5fikoInvoice01": 1_000}
    note = CreditNote("cn_1T5fikoNote01", INVOICE, 1_000, is_void, refunds)
    return (a_stub(INVOICE, Kind.INVOICE), note)


PACK, SEPA_PAID, SEPA_FAILED, LEFT = (
    "cs_test_a1T5fikoPack01",
    "cs_test_a1T5fikoSepa02",
    "cs_test_a1T5fikoSepa03",
    "cs_test_a1T5fikoPro04",
)
PAID_INTENT = IntentDetails(2_900, 2_900, "usd")

# What the events say since 2025-03-31.
NEW_FACTS: Mapping[str, Sequence[Fact]] = {
    "checkout.session.completed": [
        LINK,
        a_session_fact(PACK, 2, 2),
        a_stub("pi_3T5fikoPack01", Kind.INTENT, PACK),
    ],
    "checkout.session.async_payment_succeeded": [
        LINK,
        a_session_fact(SEPA_PAID, 2, 2),
        a_stub("pi_3T5fikoSepa02", Kind.INTENT, SEPA_PAID),
    ],
    "checkout.session.async_payment_failed": [
        LINK,
        a_session_fact(SEPA_FAILED, 2, 0, has_failed=True),
        a_stub("pi_3T5fikoSepa03", Kind.INTENT, SEPA_FAILED),
    ],
    "checkout.session.expired": [LINK, a_session_fact(LEFT, 1, 0, is_one_time=False)],
    "invoice.paid": [LINK, an_invoice_fact(INVOICE, 4, 2_900, starts_subscription=True)],
    "invoice.payment_succeeded": [
        LINK,
        an_invoice_fact(INVOICE, 4, 2_900, starts_subscription=True),
    ],
    "invoice.marked_uncollectible": [LINK, an_invoice_fact("in_1T5fikoInv08", 2, 0)],
    "credit_note.created": a_credit_note_fact(),
    "credit_note.updated": a_credit_note_fact(),
    "credit_note.voided": a_credit_note_fact(is_void=True),
    "invoice.payment_failed": [LINK, an_invoice_fact("in_1T5fikoInv02", 1, 0, has_failed=True)],
    "invoice.payment_action_required": [LINK, an_invoice_fact("in_1T5fikoInv05", 1, 0)],
    "invoice.voided": [LINK, an_invoice_fact("in_1T5fikoInv06", 3, 0)],
    "invoice_payment.paid": [a_stub(INVOICE, Kind.INVOICE), a_stub(INTENT, Kind.INTENT, INVOICE)],
    "payment_intent.succeeded": [an_intent_fact(INTENT, PAID_INTENT)],
    "payment_intent.payment_failed": [
        LINK,
        an_intent_fact("pi_3T5fikoPack07", IntentDetails(500, 0, "usd", has_failed=True)),
    ],
    "charge.refunded": [a_refunded_intent(None), a_stub(CHARGE, Kind.CHARGE, INTENT)],
    "charge.refund.updated": a_refund_fact("succeeded"),
    "refund.created": a_refund_fact("pending"),
    "refund.updated": a_refund_fact("succeeded"),
    "refund.failed": a_refund_fact("failed", AT),
    "charge.dispute.created": a_dispute_fact("needs_response"),
    "charge.dispute.updated": a_dispute_fact("under_review"),
    "charge.dispute.closed": a_dispute_fact("won"),
    "charge.dispute.funds_withdrawn": a_dispute_fact("needs_response", Funds.WITHDRAWN),
    "charge.dispute.funds_reinstated": a_dispute_fact("won", Funds.REINSTATED),
    "customer.created": [LINK],
    "customer.updated": [LINK],
    "customer.deleted": [Customer(CUSTOMER, deleted_created=AT), LINK],
}


def paid_by(event_type: str, number: str) -> Sequence[Fact]:
    """The facts of an invoice with its intent, which only the old shape names."""
    intent = a_stub(f"pi_3T5fikoInvoice{number}", Kind.INTENT, f"in_1T5fikoInv{number}")
    return [*NEW_FACTS[event_type], intent]


# Where the shape before 2025-03-31 says more: invoice and intent name each other, and below
# 2024-10-28 a charge reports its refunds cumulatively.
OLD_FACTS: Mapping[str, Sequence[Fact]] = {
    **NEW_FACTS,
    "invoice.paid": paid_by("invoice.paid", "01"),
    "invoice.payment_succeeded": paid_by("invoice.payment_succeeded", "01"),
    "invoice.marked_uncollectible": paid_by("invoice.marked_uncollectible", "08"),
    "invoice.payment_failed": paid_by("invoice.payment_failed", "02"),
    "invoice.payment_action_required": paid_by("invoice.payment_action_required", "05"),
    "invoice.voided": paid_by("invoice.voided", "06"),
    "payment_intent.succeeded": [
        an_intent_fact(INTENT, PAID_INTENT, INVOICE),
        a_stub(INVOICE, Kind.INVOICE),
    ],
    "charge.refunded": [
        a_refunded_intent({CHARGE: RefundedSoFar(AT, 1_000)}, INVOICE),
        a_stub(INVOICE, Kind.INVOICE),
        a_stub(CHARGE, Kind.CHARGE, INTENT),
    ],
}


def a_state(status: str, start: int, end: int, **changes: Any) -> SubscriptionState:
    """The buyer's subscription to the pro plan in one period."""
    item = Item("si_T5fikoItem01", "price_1T5fikoProUsd", 1, start, end, False, 2_900, "usd")  # noqa: FBT003 - a row.
    return SubscriptionState(
        status=status,
        user_id=USER,
        items=(item,),
        cancel_at_period_end=False,
        cancel_at=None,
        canceled_at=changes.get("canceled_at"),
        trial_end=changes.get("trial_end"),
        started=START,
        plan_id=2,
    )


TRIAL_END, RESUMED = START + 7 * DAY, START + 9 * DAY
STATES: Mapping[str, SubscriptionState] = {
    "customer.subscription.created": a_state("active", START, START + MONTH),
    "customer.subscription.updated": a_state("active", START + MONTH, START + 2 * MONTH),
    "customer.subscription.deleted": a_state(
        "canceled", START + MONTH, START + 2 * MONTH, canceled_at=START + MONTH + DAY
    ),
    "customer.subscription.trial_will_end": a_state(
        "trialing", START, TRIAL_END, trial_end=TRIAL_END
    ),
    "customer.subscription.paused": a_state("paused", START, TRIAL_END, trial_end=TRIAL_END),
    "customer.subscription.resumed": a_state(
        "active", RESUMED, RESUMED + MONTH, trial_end=TRIAL_END
    ),
    "customer.subscription.pending_update_applied": a_state(
        "active", START + MONTH, START + 2 * MONTH
    ),
    "customer.subscription.pending_update_expired": a_state(
        "active", START + MONTH, START + 2 * MONTH
    ),
}

# Stripe had no such object before basil: invoices named their intent themselves.
ONLY_NEW = frozenset({"invoice_payment.paid"})

# The event's subject, and whether it tells of customer and user: what the inbox is searched by.
SUBJECTS: Mapping[str, tuple[str, bool, bool]] = {
    "checkout.session.completed": (PACK, True, True),
    "checkout.session.async_payment_succeeded": (SEPA_PAID, True, True),
    "checkout.session.async_payment_failed": (SEPA_FAILED, True, True),
    "checkout.session.expired": (LEFT, True, True),
    "invoice.paid": (INVOICE, True, True),
    "invoice.payment_succeeded": (INVOICE, True, True),
    "invoice.marked_uncollectible": ("in_1T5fikoInv08", True, True),
    "credit_note.created": ("cn_1T5fikoNote01", True, False),
    "credit_note.updated": ("cn_1T5fikoNote01", True, False),
    "credit_note.voided": ("cn_1T5fikoNote01", True, False),
    "invoice.payment_failed": ("in_1T5fikoInv02", True, True),
    "invoice.payment_action_required": ("in_1T5fikoInv05", True, True),
    "invoice.voided": ("in_1T5fikoInv06", True, True),
    "invoice_payment.paid": (INVOICE, False, False),
    "payment_intent.succeeded": (INTENT, True, False),
    "payment_intent.payment_failed": ("pi_3T5fikoPack07", True, True),
    "charge.refunded": (CHARGE, True, False),
    "charge.refund.updated": ("re_3T5fikoInvoice01", False, False),
    "refund.created": ("re_3T5fikoInvoice01", False, False),
    "refund.updated": ("re_3T5fikoInvoice01", False, False),
    "refund.failed": ("re_3T5fikoInvoice01", False, False),
    "charge.dispute.created": ("dp_1T5fikoPack01", False, False),
    "charge.dispute.updated": ("dp_1T5fikoPack01", False, False),
    "charge.dispute.closed": ("dp_1T5fikoPack01", False, False),
    "charge.dispute.funds_withdrawn": ("dp_1T5fikoPack01", False, False),
    "charge.dispute.funds_reinstated": ("dp_1T5fikoPack01", False, False),
    "customer.created": (CUSTOMER, True, True),
    "customer.updated": (CUSTOMER, True, True),
    "customer.deleted": (CUSTOMER, True, True),
    **dict.fromkeys(STATES, (SUBSCRIPTION, True, True)),
}
