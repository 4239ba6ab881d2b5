"""Where a decoder finds what it needs: every place and shape in which Stripe may put it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from domain.decode import decode, parse
from domain.decode.facts import Fact
from domain.payments.details import RefundedSoFar, SessionDetails
from domain.payments.lines import Line
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import Dispute, Refund
from domain.subscriptions.versions import Subscription
from tests.stripe_objects import (
    NEW,
    OLD,
    a_charge,
    a_dispute,
    a_line,
    a_refund,
    a_session,
    an_event,
    an_intent,
    an_invoice,
    an_invoice_payment,
)


def facts_of(event_type: str, found: Mapping[str, Any], api_version: str = NEW) -> tuple[Fact, ...]:
    """The facts of an event around an object."""
    return decode(parse(an_event(event_type, found, api_version=api_version))).facts


def money_of(facts: Sequence[Fact], object_id: str) -> MoneyObject:
    """The one money object of this id among facts."""
    (found,) = [fact for fact in facts if isinstance(fact, MoneyObject) and fact.id == object_id]
    return found


def named_user(event_type: str, found: Mapping[str, Any]) -> tuple[int, str] | None:
    """The level and user of the claim that an event makes for its payment."""
    claim = money_of(facts_of(event_type, found), found["id"]).claim
    return (claim.level, claim.user_id) if claim else None


def test_a_user_is_taken_from_the_first_place_that_names_one() -> None:
    """Contract §4: own metadata, client reference, subscription metadata, that of the lines."""
    completed = "checkout.session.completed"
    session = a_session(client_reference_id="second", metadata={"user_id": "first"})
    assert named_user(completed, session) == (1, "first")
    assert named_user(completed, session | {"metadata": {}}) == (2, "second")
    lines = [a_line(100, metadata={}), a_line(100, metadata={"user_id": "fourth"})]
    invoice = an_invoice(lines, metadata={"user_id": "third"})
    assert named_user("invoice.paid", invoice) == (3, "third")
    assert named_user("invoice.paid", an_invoice(lines)) == (3, "fourth")
    assert named_user("invoice.paid", an_invoice([a_line(100)])) is None
    own = invoice | {"metadata": {"user_id": "first"}}
    assert named_user("invoice.paid", own) == (1, "first")


def test_a_refunded_charge_names_the_user_that_its_intent_was_made_for() -> None:
    """Stripe copies the intent's metadata to the charge; a guest has nothing else."""
    charge = a_charge(customer=None, metadata={"user_id": "guest"})
    claim = money_of(facts_of("charge.refunded", charge), "pi_1").claim
    assert claim is not None
    assert claim.user_id == "guest"


def test_expanded_objects_count_as_their_ids() -> None:
    """An endpoint may not expand, but the event list and a replay may hold objects."""
    session = a_session(
        customer={"id": "cus_9", "object": "customer"},
        payment_intent={"id": "pi_9"},
        invoice={"id": "in_9"},
        subscription={"id": "sub_9"},
    )
    facts = facts_of("checkout.session.completed", session)
    found = money_of(facts, "cs_1")
    assert (found.customer_id, found.subscription_id) == ("cus_9", "sub_9")
    assert found.parents == {"in_9"}
    assert money_of(facts, "pi_9").parents == {"cs_1"}
    assert money_of(facts, "in_9").kind is Kind.INVOICE


def test_a_session_for_a_subscription_claims_the_plan_of_that_subscription() -> None:
    """What was sold is known even where the subscription's own metadata is empty."""
    session = a_session(mode="subscription", subscription="sub_1", metadata={"plan_id": "2"})
    facts = facts_of("checkout.session.completed", session)
    (subscription,) = [fact for fact in facts if isinstance(fact, Subscription)]
    assert subscription.plan_claim is not None
    assert (subscription.plan_claim.plan_id, subscription.customer_id) == (2, "cus_1")
    assert money_of(facts, "cs_1").session == SessionDetails(
        is_one_time=False,
        rank=2,
        payment_rank=2,
        currency="usd",
        amount_total_minor=500,
        plan_id=2,
        amount_subtotal_minor=500,
        named={2: 1_700_000_000},
    )


@pytest.mark.parametrize(
    ("payment", "payer", "kind"),
    [
        ({"type": "payment_intent", "payment_intent": "pi_1"}, "pi_1", Kind.INTENT),
        ({"type": "charge", "charge": "ch_1"}, "ch_1", Kind.CHARGE),
        ({"type": "charge", "charge": "py_1"}, "py_1", Kind.CHARGE),
    ],
)
def test_an_invoice_is_paid_by_an_intent_or_a_charge(
    payment: dict[str, str], payer: str, kind: Kind
) -> None:
    """Told by `invoice_payment.paid`, or by an invoice that carries its list of payments."""
    paid = facts_of("invoice_payment.paid", an_invoice_payment("in_1", "") | {"payment": payment})
    listed = {"object": "list", "data": [{"id": "inpay_1", "payment": payment}]}
    invoice = facts_of("invoice.paid", an_invoice([a_line(100)], payments=listed))
    for facts in (paid, invoice):
        found = money_of(facts, payer)
        assert (found.kind, found.parents) == (kind, frozenset({"in_1"}))


def test_an_invoice_of_the_old_shape_without_an_intent_is_paid_by_its_charge() -> None:
    """Charges made without an intent are as old as Stripe."""
    invoice = an_invoice([a_line(100, api_version=OLD)], api_version=OLD, charge="ch_1")
    assert money_of(facts_of("invoice.paid", invoice, OLD), "ch_1").parents == {"in_1"}


def test_refunds_and_disputes_of_a_charge_without_an_intent_take_from_the_charge() -> None:
    """There is nothing else to take from."""
    refunded = facts_of("refund.created", a_refund(payment_intent=None))
    disputed = facts_of("charge.dispute.created", a_dispute(payment_intent=None))
    for facts in (refunded, disputed):
        assert isinstance(facts[-1], Refund | Dispute)
        assert facts[-1].target_id == "ch_1"
        assert money_of(facts, "ch_1") == MoneyObject("ch_1", Kind.CHARGE)
    charge = facts_of("charge.refunded", a_charge(payment_intent=None), OLD)
    details = money_of(charge, "ch_1").intent
    assert details is not None
    assert details.refunded == {"ch_1": RefundedSoFar(1_700_000_000, 500)}


@pytest.mark.parametrize(
    ("api_version", "is_cumulative"),
    [
        ("2024-09-30.acacia", True),
        ("2024-10-28.acacia", False),
        ("2025-03-31.basil", False),
        ("", True),
        ("next", True),
    ],
)
def test_a_running_total_of_refunds_counts_only_below_2024_10_28(
    api_version: str, *, is_cumulative: bool
) -> None:
    """From then on every refund is told by id; an undatable version is taken for an old one."""
    details = money_of(facts_of("charge.refunded", a_charge(), api_version), "pi_1").intent
    assert details is not None
    assert (details.refunded is not None) is is_cumulative


def test_an_intent_from_before_2022_carries_its_receipt() -> None:
    """Its charges were embedded then; the first that has a receipt gives it."""
    charges = {"data": [{"id": "ch_0", "receipt_url": None}, {"id": "ch_1", "receipt_url": "r"}]}
    details = money_of(
        facts_of("payment_intent.succeeded", an_intent(charges=charges)), "pi_1"
    ).intent
    assert details is not None
    assert details.receipt_url == "r"


def test_a_line_of_either_generation_says_price_plan_and_proration() -> None:
    """Price by reference, by object or by the older plan; metadata of the line before others."""
    old = [
        a_line(1, "price_1", api_version=OLD, proration=True),
        a_line(2, "price_2", api_version=OLD) | {"price": None, "plan": {"id": "plan_2"}},
        a_line(3, "price_3", api_version=OLD, subscription=None),
        a_line(4, "price_4", api_version=OLD, metadata={"plan_id": "7"}, quantity=0),
        a_line(5, "price_5", api_version=OLD) | {"subscription_item": None},
    ]
    new = [
        a_line(1, "price_1", proration=True),
        a_line(2, "price_2") | {"pricing": {"price_details": {"price": {"id": "plan_2"}}}},
        a_line(3, "price_3", subscription=None),
        a_line(4, "price_4", metadata={"plan_id": "7"}, quantity=0),
        a_line(5, "price_5"),
    ]
    month: dict[str, Any] = {"period_start": 1_700_000_000, "period_end": 1_702_592_000}
    told = {"item_id": "si_sub_1", **month}
    expected = (
        Line(1, 1, "price_1", is_proration=True, from_subscription=True, plan_id=5, **told),
        Line(2, 1, "plan_2", is_proration=False, from_subscription=True, plan_id=5, **told),
        Line(3, 1, "price_3", False, False, None, **month),  # noqa: FBT003 - a row.
        Line(4, 0, "price_4", is_proration=False, from_subscription=True, plan_id=7, **told),
        Line(5, 1, "price_5", False, True, 5, **month),  # noqa: FBT003 - a row.
    )
    for lines, shape in ((old, OLD), (new, NEW)):
        invoice = an_invoice(lines, api_version=shape, metadata={"plan_id": "5"})
        details = money_of(facts_of("invoice.paid", invoice, shape), "in_1").invoice
        assert details is not None
        *before, last = details.lines
        assert (*before, last._replace(item_id=None)) == expected


def test_an_amount_that_is_missing_is_nothing() -> None:
    """And remarked, in the tests of bad input."""
    details = money_of(
        facts_of("checkout.session.completed", a_session(amount_total=None, currency=None)), "cs_1"
    ).session
    assert details is not None
    assert (details.amount_total_minor, details.currency) == (0, "")


@pytest.mark.parametrize(
    ("named", "plan_id"), [("0", 0), (0, 0), ("2147483647", 2**31 - 1), ("2147483648", None)]
)
def test_a_plan_id_fits_the_catalogue(named: object, plan_id: int | None) -> None:
    """From nought to the largest that a table can hold."""
    session = a_session(metadata={"plan_id": named})
    details = money_of(facts_of("checkout.session.completed", session), "cs_1").session
    assert details is not None
    assert details.plan_id == plan_id


@pytest.mark.parametrize(
    ("status", "failed_created"),
    [("failed", 1_700_000_000), ("canceled", 1_700_000_000), ("succeeded", None)],
)
def test_a_refund_that_came_back_says_when(status: str, failed_created: int | None) -> None:
    """A running total told before still holds it."""
    found = facts_of("charge.refund.updated", a_refund(status=status))[-1]
    assert isinstance(found, Refund)
    assert found.failed_created == failed_created
