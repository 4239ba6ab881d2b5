"""What stands when reports differ: each rule of merging by example, in both orders."""

from itertools import pairwise
from typing import Any

import pytest

from domain.events import EventStatus, Stamp
from domain.payments.claims import Customer, PlanClaim, UserClaim, earliest
from domain.payments.details import (
    INVOICE_RANK,
    PAYMENT_STATUS_RANK,
    SESSION_RANK,
    IntentDetails,
    InvoiceDetails,
    RefundedSoFar,
    SessionDetails,
)
from domain.payments.objects import Kind, MoneyObject, kind_of, root_of
from domain.payments.reversals import Dispute, Funds, Refund, refunded_minor
from domain.payments.sold import Sold
from domain.subscriptions.versions import Subscription

EARLY, LATE = Stamp(10, "evt_b"), Stamp(20, "evt_a")


def joined(one: Any, other: Any) -> Any:
    """Both as one, the same in either order."""
    found = one.join(other)
    assert found == other.join(one)
    return found


def test_the_earlier_of_two_stands_and_what_is_known_beats_what_is_not() -> None:
    """The rule under most fields."""
    assert earliest(1, 2) == earliest(2, 1) == 1
    assert earliest(None, 2) == earliest(2, None) == 2
    assert earliest(None, None) is None
    assert earliest(0, None) == 0


def test_of_two_claims_for_a_customer_the_earlier_stands_and_the_other_is_flagged() -> None:
    """By time, then event id."""
    found = joined(Customer("cus", "ann", LATE), Customer("cus", "bob", EARLY))
    assert found == Customer("cus", "bob", EARLY, frozenset({"ann"}))
    same_second = joined(
        Customer("cus", "ann", Stamp(10, "evt_2")), Customer("cus", "bob", Stamp(10, "evt_1"))
    )
    assert same_second.user_id == "bob"
    again = joined(found, Customer("cus", "bob", LATE))
    assert again == found
    assert joined(found, Customer("cus", "eve", LATE)).other_user_ids == {"ann", "eve"}


def test_a_customer_without_a_claim_takes_nothing_away() -> None:
    """Its end is remembered, at the earliest time it was told."""
    claimed = Customer("cus", "ann", LATE)
    assert joined(claimed, Customer("cus")) == claimed
    deleted = joined(claimed, Customer("cus", deleted_created=30))
    assert deleted == Customer("cus", "ann", LATE, deleted_created=30)
    assert joined(deleted, Customer("cus", deleted_created=25)).deleted_created == 25
    assert joined(Customer("cus"), Customer("cus")) == Customer("cus")


def test_a_subscription_keeps_its_earliest_plan_and_whichever_customer_is_known() -> None:
    """Later metadata follows later sales."""
    early, late = Sold(claims={9: EARLY}), Sold(claims={1: LATE, 9: LATE})
    found = joined(Subscription("sub", "cus_1", late), Subscription("sub", None, early))
    assert found == Subscription("sub", "cus_1", Sold(claims={1: LATE, 9: EARLY}))
    assert found.plan_claim == PlanClaim(EARLY, 9)


def an_object(**known: Any) -> MoneyObject:
    """What is known of one object."""
    return MoneyObject("x", known.pop("kind", Kind.INTENT), **known)


def test_what_objects_know_of_one_another_adds_up() -> None:
    """Parents are collected; of the rest the smallest stands, and links beat none."""
    one = an_object(
        kind=Kind.CHARGE,
        parents=frozenset({"a"}),
        customer_id="cus_2",
        claim=UserClaim(2, EARLY, "ann"),
        created=5,
    )
    other = an_object(
        parents=frozenset({"b"}),
        customer_id="cus_1",
        subscription_id="sub_1",
        claim=UserClaim(1, LATE, "bob"),
        created=4,
    )
    assert joined(one, other) == an_object(
        parents=frozenset({"a", "b"}),
        customer_id="cus_1",
        subscription_id="sub_1",
        claim=UserClaim(1, LATE, "bob"),
        created=4,
    )


def an_invoice(rank: int, stamp: Stamp, paid: int, **changes: Any) -> InvoiceDetails:
    """A report of an invoice, told apart by what is due."""
    return InvoiceDetails(rank, stamp, "usd", rank * 100 + stamp.created, paid, True, (), **changes)  # noqa: FBT003 - a row.


def test_the_furthest_report_of_an_invoice_stands_then_the_newest() -> None:
    """Money paid and failures seen are never forgotten."""
    opened, paid = an_invoice(1, LATE, 0, has_failed=True), an_invoice(4, EARLY, 50)
    assert joined(opened, paid) == an_invoice(4, EARLY, 50, has_failed=True)
    again = an_invoice(4, LATE, 40)
    assert joined(paid, again) == an_invoice(4, LATE, 50)


@pytest.mark.parametrize(
    ("rank", "is_paid", "is_void"),
    [(0, False, False), (1, False, False), (2, False, True), (3, False, True), (4, True, False)],
)
def test_an_invoice_is_paid_or_given_up_or_neither(
    rank: int, *, is_paid: bool, is_void: bool
) -> None:
    """Draft, open, uncollectible, void, paid."""
    details = an_invoice(rank, EARLY, 0)
    assert (details.is_paid, details.is_void) == (is_paid, is_void)


def a_session(rank: int, payment_rank: int, total: int, plan: int | None, **changes: Any) -> Any:
    """A report of a one-time session."""
    return SessionDetails(True, rank, payment_rank, "usd", total, plan, **changes)  # noqa: FBT003 - a row.


def test_a_session_only_moves_forward() -> None:
    """Open, expired, complete; unpaid, nothing due, paid; a failure stays known."""
    found = joined(a_session(2, 0, 5, 4, has_failed=True), a_session(0, 2, 9, 3))
    assert found == a_session(2, 2, 5, 4, has_failed=True)
    assert (found.is_complete, found.is_paid) == (True, True)
    assert joined(a_session(2, 1, 5, None), a_session(2, 0, 5, 0)) == a_session(2, 1, 5, 0)
    assert a_session(2, 1, 5, 4).is_paid
    assert not a_session(2, 0, 5, 4).is_paid
    assert not a_session(1, 0, 5, 4).is_complete


def test_amounts_of_an_intent_only_grow() -> None:
    """Currency and receipt are taken from whoever has them."""
    bare = IntentDetails(receipt_url="z", has_failed=True)
    assert bare.currency == ""
    full = IntentDetails(500, 400, "usd", receipt_url="a")
    assert joined(bare, full) == IntentDetails(500, 400, "usd", has_failed=True, receipt_url="a")


def test_of_what_a_charge_gave_back_the_newest_report_stands() -> None:
    """Charge by charge: the total may also shrink, when a refund failed."""
    one = IntentDetails(refunded={"ch_1": RefundedSoFar(10, 500), "ch_2": RefundedSoFar(10, 5)})
    other = IntentDetails(refunded={"ch_1": RefundedSoFar(20, 100)})
    assert joined(one, other).refunded == {
        "ch_1": RefundedSoFar(20, 100),
        "ch_2": RefundedSoFar(10, 5),
    }
    assert joined(one, IntentDetails()).refunded == one.refunded


def test_a_refund_gets_further_and_never_back() -> None:
    """A status that is new to us is money under way; the first failure's time is kept."""
    failed = Refund("re", "pi_1", "failed", 500, 30)
    for status in ("pending", "requires_action", "succeeded", "canceled", "zapped"):
        assert joined(failed, Refund("re", "ch_1", status, 400)) == failed
    assert joined(failed, Refund("re", "pi_1", "failed", 500, 20)).failed_created == 20
    order = ["pending", "requires_action", "succeeded", "canceled", "failed"]
    for earlier, later in pairwise(order):
        one, other = Refund("re", "pi_1", earlier, 1), Refund("re", "pi_1", later, 1)
        assert joined(one, other).status == later
    taken = {status: Refund("re", "pi_1", status, 1).is_taken for status in [*order, "zapped"]}
    assert [status for status, is_taken in taken.items() if not is_taken] == ["canceled", "failed"]


def test_the_newest_status_and_the_newest_place_of_the_money_may_come_from_two_reports() -> None:
    """A dispute closed after its funds were withdrawn is still withdrawn."""
    withdrawn = Dispute("dp", "pi_1", "needs_response", 10, 500, Funds.WITHDRAWN, 10)
    lost = joined(withdrawn, Dispute("dp", "ch_1", "lost", 20, 400))
    assert lost == Dispute("dp", "pi_1", "lost", 20, 500, Funds.WITHDRAWN, 10)
    assert lost.taken_minor == 500
    back = joined(lost, Dispute("dp", "pi_1", "won", 10, 500, Funds.REINSTATED, 10))
    assert (back.taken_minor, back.status) == (0, "lost")
    untouched = Dispute("dp", "pi_1", "lost", 0, 500)
    assert untouched.taken_minor == 0
    assert joined(untouched, Dispute("dp", "pi_1", "lost", 0, 500, Funds.WITHDRAWN)).taken_minor


@pytest.mark.parametrize(
    ("object_id", "kind"),
    [
        ("in_1", Kind.INVOICE),
        ("cs_test_1", Kind.SESSION),
        ("pi_1", Kind.INTENT),
        ("ch_1", Kind.CHARGE),
        ("py_1", Kind.CHARGE),
        ("odd", Kind.INTENT),
    ],
)
def test_an_id_tells_what_it_names(object_id: str, kind: Kind) -> None:
    """By its prefix, before anything else is known of it."""
    assert kind_of(object_id) is kind


def roots(*objects: MoneyObject) -> dict[str, str]:
    """The root of every object."""
    known = {each.id: each for each in objects}
    return {each: root_of(each, known) for each in known}


def of(object_id: str, *parents: str, kind: Kind | None = None) -> MoneyObject:
    """An object with its parents."""
    return MoneyObject(object_id, kind or kind_of(object_id), parents=frozenset(parents))


def test_a_payment_is_known_by_its_invoice_else_its_session_else_its_intent() -> None:
    """Charge to intent, intent to session and invoice, session to invoice."""
    assert set(roots(of("ch_1", "pi_1"), of("pi_1", "cs_1", "in_1"), of("cs_1")).values()) == {
        "in_1",
        "cs_1",
    }
    chain = roots(of("ch_1", "pi_1"), of("pi_1", "cs_1"), of("cs_1", "in_1"), of("in_1"))
    assert set(chain.values()) == {"in_1"}
    assert roots(of("pi_1", "cs_1", "cs_0"))["pi_1"] == "cs_0"
    assert roots(of("pi_1", "x", "cs_1"), of("x", kind=Kind.INVOICE))["pi_1"] == "x"
    assert roots(of("pi_1")) == {"pi_1": "pi_1"}


def test_parents_in_a_circle_end_at_the_smallest() -> None:
    """Stripe has no such thing; an endless loop would be worse than an odd answer."""
    assert roots(of("in_1", "in_2"), of("in_2", "in_1")) == {"in_1": "in_1", "in_2": "in_1"}
    assert roots(of("in_1", "in_1")) == {"in_1": "in_1"}


def refund(refund_id: str, amount: int, failed_created: int | None = None) -> Refund:
    """A refund that stands, or one that failed."""
    status = "succeeded" if failed_created is None else "failed"
    return Refund(refund_id, "pi_1", status, amount, failed_created)


@pytest.mark.parametrize(
    ("refunds", "taken"),
    [
        ([], 150),
        ([refund("re_1", 100)], 150),
        ([refund("re_1", 100), refund("re_2", 80)], 180),
        ([refund("re_1", 100, failed_created=21)], 50),
        ([refund("re_1", 100, failed_created=20)], 50),
        ([refund("re_1", 100, failed_created=19)], 150),
    ],
)
def test_a_running_total_counts_what_failed_after_it(refunds: list[Refund], taken: int) -> None:
    """Told at second 20, of two charges; what failed before is no longer inside."""
    reports = {"ch_1": RefundedSoFar(20, 100), "ch_2": RefundedSoFar(10, 50)}
    target = an_object(intent=IntentDetails(refunded=reports))
    assert refunded_minor(target, refunds) == taken


def test_without_a_running_total_refunds_add_up() -> None:
    """Those that failed do not count."""
    refunds = [refund("re_1", 100), refund("re_2", 30), refund("re_3", 7, failed_created=5)]
    assert refunded_minor(an_object(), refunds) == 130
    assert refunded_minor(an_object(intent=IntentDetails()), iter(refunds)) == 130


def test_the_words_that_tables_keep_do_not_change() -> None:
    """A stored row must be readable by the next version."""
    assert [str(kind) for kind in Kind] == [
        "invoice",
        "session",
        "intent",
        "charge",
        "payment_record",
    ]
    assert [str(funds) for funds in Funds] == ["untouched", "withdrawn", "reinstated"]
    assert [str(status) for status in EventStatus] == [
        "received",
        "applied",
        "ignored",
        "failed",
        "dead",
    ]


def test_the_ranks_that_tables_keep_do_not_change() -> None:
    """As above: how far an invoice, a session and its payment got."""
    assert INVOICE_RANK == {"draft": 0, "open": 1, "uncollectible": 2, "void": 3, "paid": 4}
    assert SESSION_RANK == {"open": 0, "expired": 1, "complete": 2}
    assert PAYMENT_STATUS_RANK == {"unpaid": 0, "no_payment_required": 1, "paid": 2}
