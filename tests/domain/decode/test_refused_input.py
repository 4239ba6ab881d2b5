"""Events that cannot be used at all, or use nothing: refused by name, or remarked."""

from typing import Any

import pytest

from domain.decode import decode, parse
from domain.errors import DecodeError
from tests.domain.decode.odd_input import COMPLETED, PAID_INVOICE, UPDATED, Json, refusal_of
from tests.stripe_objects import (
    a_charge,
    a_dispute,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
)

MISSING = "is missing or not of the expected type."
REFUSED: list[tuple[str, Json, str, Any, str]] = [
    (COMPLETED, a_session(), "id", None, f"data.object.id {MISSING}"),
    (COMPLETED, a_session(), "mode", None, f"data.object.mode {MISSING}"),
    (COMPLETED, a_session(), "id", "cs_\0", f"data.object.id {MISSING}"),
    ("invoice.paid", PAID_INVOICE, "lines", None, f"data.object.lines.data {MISSING}"),
    (
        "invoice.paid",
        PAID_INVOICE,
        "lines",
        {"data": [None]},
        f"data.object.lines.data[] {MISSING}",
    ),
    (
        "invoice.paid",
        PAID_INVOICE,
        "lines",
        {"data": [{"amount": "9.5"}]},
        f"data.object.lines.data[].amount {MISSING}",
    ),
    ("invoice.paid", PAID_INVOICE, "currency", None, f"data.object.currency {MISSING}"),
    ("invoice_payment.paid", {"id": "inpay_1"}, "invoice", {}, f"data.object.invoice {MISSING}"),
    ("payment_intent.succeeded", an_intent(), "amount", None, f"data.object.amount {MISSING}"),
    ("payment_intent.succeeded", an_intent(), "amount", -1, "data.object.amount is negative."),
    (
        "charge.refunded",
        a_charge(),
        "amount_refunded",
        1.5,
        f"data.object.amount_refunded {MISSING}",
    ),
    ("refund.created", a_refund(), "amount", 10**18, f"data.object.amount {MISSING}"),
    ("refund.created", a_refund(), "id", 7, f"data.object.id {MISSING}"),
    ("charge.dispute.created", a_dispute(), "status", None, f"data.object.status {MISSING}"),
    (UPDATED, a_subscription(), "status", None, f"data.object.status {MISSING}"),
    (UPDATED, a_subscription(), "id", None, f"data.object.id {MISSING}"),
]


@pytest.mark.parametrize(("event_type", "sent", "key", "value", "why"), REFUSED)
def test_what_cannot_be_done_without_is_refused_by_name(
    event_type: str, sent: Json, key: str, value: Any, why: str
) -> None:
    """The error says the type, the field and what is wrong."""
    assert refusal_of(event_type, sent | {key: value}) == f"{event_type}: {why}"


def test_a_dispute_that_names_no_payment_is_refused() -> None:
    """Money may be gone; a person must see it."""
    sent = a_dispute(payment_intent=None, charge=None)
    assert refusal_of("charge.dispute.funds_withdrawn", sent) == (
        f"charge.dispute.funds_withdrawn: data.object.payment_intent or charge {MISSING}"
    )


def nested(levels: int) -> Json:
    """An object of so many levels."""
    outermost: Json = {}
    for _ in range(levels - 1):
        outermost = {"deeper": outermost}
    return outermost


@pytest.mark.parametrize("path", ["data.object", "data.previous_attributes"])
def test_a_report_that_could_not_be_kept_is_refused(path: str) -> None:
    """A subscription's reports are kept whole: what is nested without end harms only itself."""

    def report(levels: int) -> Json:
        deep = {"metadata": nested(levels - 1)}
        if path == "data.object":
            return an_event(UPDATED, a_subscription() | deep)
        return an_event(UPDATED, a_subscription(), previous=deep)

    assert decode(parse(report(100))).facts
    with pytest.raises(DecodeError, match=f"{path} is nested more than 100 levels deep"):
        decode(parse(report(101)))


def test_a_refund_that_names_no_payment_takes_from_none_and_says_so() -> None:
    """Stripe has them for money that a customer keeps with it."""
    sent = a_refund(payment_intent=None, charge=None)
    read = decode(parse(an_event("refund.created", sent)))
    assert read.note == "names no payment_intent and no charge; it takes from no payment"
    assert read.facts == ()


def test_an_invoice_paid_outside_stripe_is_remarked() -> None:
    """No refund or dispute will ever find it."""
    sent = {"id": "inpay_1", "invoice": "in_1", "payment": {"type": "payment_record"}}
    read = decode(parse(an_event("invoice_payment.paid", sent)))
    assert read.note == "payment names nothing that we know; money from outside Stripe"
    assert [fact.id for fact in read.facts] == ["in_1"]
