"""What Stripe should not send, or not yet: never a crash, never a silent loss.

An event either counts as far as it can be read, with a note of what could not be used and why, or
is refused with an error that names the field; then it is kept as failed.
"""

from typing import Any

import pytest

from domain.decode import decode, parse
from domain.payments.objects import MoneyObject
from domain.subscriptions.versions import Subscription
from tests.domain.decode.odd_input import (
    COMPLETED,
    GONE,
    OPEN_INVOICE,
    PAID_INVOICE,
    UPDATED,
    Json,
    changed,
    note_of,
)
from tests.stripe_objects import (
    a_charge,
    a_dispute,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)

KNOWN_DISPUTES = [
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "charge_refunded",
    "won",
    "lost",
    "prevented",
    "appeal_needs_response",
    "appeal_under_review",
]
KNOWN_SUBSCRIPTIONS = [
    "incomplete",
    "incomplete_expired",
    "trialing",
    "active",
    "past_due",
    "canceled",
    "unpaid",
    "paused",
]

REMARKED: list[tuple[str, Json, str, Any, str]] = [
    (COMPLETED, a_session(), "status", "parked", "status 'parked' is new to us; read as complete"),
    (COMPLETED, a_session(), "status", GONE, "status is missing; read as complete"),
    (
        "checkout.session.expired",
        a_session(),
        "status",
        ["x"],
        "status \"['x']\" is new to us; read as expired",
    ),
    (
        COMPLETED,
        a_session(),
        "payment_status",
        "half",
        "payment_status 'half' is new to us; read as unpaid",
    ),
    (
        COMPLETED,
        a_session(),
        "payment_status",
        None,
        "payment_status is missing; read as unpaid",
    ),
    (COMPLETED, a_session(), "amount_total", None, "amount_total is missing; read as 0"),
    (
        COMPLETED,
        a_session(),
        "amount_total",
        -500,
        "amount_total is '-500', which is no amount; read as 0",
    ),
    (
        COMPLETED,
        a_session(),
        "amount_total",
        "5.00",
        "amount_total is '5.00', which is no amount; read as 0",
    ),
    (
        COMPLETED,
        a_session(),
        "metadata",
        {"plan_id": "pro"},
        "metadata.plan_id 'pro' is no plan id",
    ),
    (
        COMPLETED,
        a_session(),
        "metadata",
        {"plan_id": str(2**31)},
        "metadata.plan_id '2147483648' is no plan id",
    ),
    (COMPLETED, a_session(), "metadata", {"plan_id": "-1"}, "metadata.plan_id '-1' is no plan id"),
    (
        COMPLETED,
        a_session(),
        "metadata",
        {"plan_id": "4", "user_id": 7},
        "metadata.user_id '7' is no user id",
    ),
    (
        "invoice.payment_failed",
        OPEN_INVOICE,
        "status",
        "x" * 50,
        f"status '{'x' * 40}' is new to us; read as open",
    ),
    ("invoice.voided", OPEN_INVOICE, "status", None, "status is missing; read as void"),
    ("invoice.paid", PAID_INVOICE, "amount_paid", GONE, "amount_paid is missing; read as 0"),
    (
        "invoice.paid",
        PAID_INVOICE,
        "amount_due",
        [],
        "amount_due is '[]', which is no amount; read as 0",
    ),
    (
        "payment_intent.succeeded",
        an_intent(),
        "amount_received",
        True,
        "amount_received is 'True', which is no amount; read as 0",
    ),
    ("refund.created", a_refund(), "status", None, "status is missing; read as pending"),
    ("refund.created", a_refund(), "status", "held", "status 'held' is new to us; read as pending"),
    (
        "charge.dispute.closed",
        a_dispute(),
        "status",
        "settled",
        "status 'settled' is new to us; kept as it is",
    ),
    (UPDATED, a_subscription(), "status", "dozing", "status 'dozing' is new to us; kept as it is"),
    (
        UPDATED,
        a_subscription(),
        "customer",
        None,
        "customer is missing; only metadata can name the user",
    ),
    (
        UPDATED,
        a_subscription(),
        "items",
        None,
        "items.data has no item; no plan and no period can be shown",
    ),
    (
        UPDATED,
        a_subscription(),
        "items",
        {"data": [None, {"id": "si_1", "price": {"id": "price_1"}}]},
        "items.data has entries that are no items; left out",
    ),
    (
        UPDATED,
        a_subscription(),
        "items",
        {"data": [{"id": "si_1", "price": None}]},
        "items.data[].price is missing; the item has no plan",
    ),
    (
        UPDATED,
        a_subscription(),
        "items",
        {"data": [{"id": "si_1", "price": "price_1", "quantity": "two"}]},
        "items.data[].quantity 'two' is no number; read as 1",
    ),
]


@pytest.mark.parametrize(("event_type", "sent", "key", "value", "note"), REMARKED)
def test_what_cannot_be_used_is_remarked_and_the_rest_counts(
    event_type: str, sent: Json, key: str, value: Any, note: str
) -> None:
    """One field at a time; the untouched object leaves nothing to remark."""
    event = an_event(event_type, changed(sent, key, value))
    read = decode(parse(event))
    assert read.note == note
    assert read.facts


@pytest.mark.parametrize(
    ("event_type", "sent"),
    [
        (COMPLETED, a_session()),
        ("invoice.paid", PAID_INVOICE),
        ("invoice.payment_failed", OPEN_INVOICE),
        ("payment_intent.succeeded", an_intent()),
        ("refund.created", a_refund()),
        ("charge.dispute.closed", a_dispute()),
        ("charge.refunded", a_charge()),
        (UPDATED, a_subscription()),
    ],
)
def test_a_sound_object_leaves_nothing_to_remark(event_type: str, sent: Json) -> None:
    """The counterpart of the remarks."""
    assert note_of(event_type, sent) is None


@pytest.mark.parametrize("status", KNOWN_DISPUTES)
def test_every_status_of_a_dispute_is_known(status: str) -> None:
    """Inquiries, chargebacks and appeals."""
    assert note_of("charge.dispute.updated", a_dispute(status=status)) is None


@pytest.mark.parametrize("status", KNOWN_SUBSCRIPTIONS)
def test_every_status_of_a_subscription_is_known(status: str) -> None:
    """All eight."""
    assert note_of(UPDATED, a_subscription(status=status)) is None


@pytest.mark.parametrize(
    ("event_type", "sent"),
    [("charge.dispute.updated", a_dispute()), (UPDATED, a_subscription())],
)
def test_a_long_value_is_not_quoted_whole(event_type: str, sent: Json) -> None:
    """A note is a sentence, not a dump."""
    note = note_of(event_type, sent | {"status": "x" * 60})
    assert note == f"status '{'x' * 40}' is new to us; kept as it is"


def test_one_remark_is_made_once_and_several_are_told_together() -> None:
    """Thirty lines with the same mistake are one mistake."""
    lines = [a_line(100, metadata={"plan_id": "pro"}, quantity=1) for _ in range(3)]
    lines[0]["quantity"] = {}
    invoice = an_invoice(lines, amount_due=None)
    assert note_of("invoice.paid", invoice) == (
        "amount_due is missing; read as 0; metadata.plan_id 'pro' is no plan id;"
        " lines.data[].quantity '{}' is no number; read as 1"
    )


@pytest.mark.parametrize(
    ("event_type", "sent", "key"),
    [("invoice.paid", PAID_INVOICE, "lines"), (UPDATED, a_subscription(), "items")],
)
def test_a_list_that_shows_only_some_entries_is_told_and_marks_its_facts(
    event_type: str, sent: Json, key: str
) -> None:
    """Status and links count at once; what needs the rest of the list waits for it."""
    whole = decode(parse(an_event(event_type, sent)))
    cut = decode(parse(an_event(event_type, changed(sent, key, sent[key] | {"has_more": True}))))
    assert (whole.is_cut, cut.is_cut) == (False, True)
    marks = [
        fact.invoice.is_cut for fact in cut.facts if isinstance(fact, MoneyObject) and fact.invoice
    ] + [
        version.is_cut
        for fact in cut.facts
        if isinstance(fact, Subscription)
        for version in fact.versions
    ]
    assert marks == [True]
    assert [fact.id for fact in cut.facts] == [fact.id for fact in whole.facts]
