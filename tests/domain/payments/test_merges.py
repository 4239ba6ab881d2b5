"""Every `join` is associative, commutative and idempotent: the law under "any order, same end".

What identifies a report (a stamp, an event id) determines what it says, as with Stripe; all else
is drawn freely, so that ties and contradictions appear.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import Stamp
from domain.payments.claims import Assigned, Customer, UserClaim
from domain.payments.credit_notes import CreditNote
from domain.payments.details import (
    IntentDetails,
    InvoiceDetails,
    RefundedSoFar,
    SessionDetails,
    SessionLine,
)
from domain.payments.lines import Line
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import REFUND_RANK, Dispute, Funds, Refund
from domain.payments.sold import ItemPrice, Sold, SoldItem
from domain.subscriptions.states import Version
from domain.subscriptions.versions import Subscription
from tests.examples import examples

# Small ranges, so that values meet often.
small = st.integers(0, 3)
names = st.sampled_from(["a", "b", "c"])
stamps = st.builds(Stamp, small, names)


def built(kind: Callable[..., Any], /, *given: Any, **named: Any) -> st.SearchStrategy[Any]:
    """Values of a kind from what is given; nothing is drawn for fields that are left out."""

    def made(*values: Any, **others: Any) -> Any:
        return kind(*values, **others)

    return st.builds(made, *given, **named)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The value, or not known."""
    return st.none() | values


def customers() -> st.SearchStrategy[Customer]:
    """A customer with or without a claim, alive or deleted."""
    claimed = built(Customer, st.just("cus"), names, stamps)
    plain = built(
        Customer,
        st.just("cus"),
        deleted_created=optional(small),
        alias_ids=st.frozensets(names, max_size=2),
    )
    return claimed | plain


@st.composite
def versions(draw: st.DrawFn) -> Version:
    """A report; its event id says its second, kind and content."""
    created, status, kind = (
        draw(small),
        draw(st.sampled_from(["active", "past_due", "canceled"])),
        draw(st.sampled_from(["created", "updated", "deleted"])),
    )
    before = draw(st.sampled_from(["active", "past_due", None]))
    previous = {"status": before} if kind == "updated" and before else {}
    return Version(
        created=created,
        event_id=f"evt_{created}_{kind}_{status}_{before}",
        event_type=f"customer.subscription.{kind}",
        object={"status": status},
        previous=previous,
    )


def subscriptions() -> st.SearchStrategy[Subscription]:
    """One report each, as decoders make them; joins hold more."""
    reports = st.tuples() | st.tuples(versions())
    return built(Subscription, st.just("sub"), optional(names), what_was_sold(), reports)


def what_was_sold() -> st.SearchStrategy[Sold]:
    """Claims, trials and items that contradict each other."""
    prices = built(ItemPrice, names, st.booleans(), optional(small), names)
    periods = st.frozensets(st.tuples(small, small), max_size=2)
    items = built(SoldItem, st.frozensets(prices, max_size=2), periods)
    return built(
        Sold,
        claims=st.dictionaries(small, stamps, max_size=2),
        trials=st.frozensets(st.tuples(optional(small), optional(small)), max_size=2),
        items=st.dictionaries(names, items, max_size=2),
    )


@st.composite
def invoice_details(draw: st.DrawFn) -> InvoiceDetails:
    """A report of an invoice; status and stamp determine the rest, but for what only grows."""
    rank, stamp = draw(small), draw(stamps)
    amount = 100 * rank + stamp.created
    return InvoiceDetails(
        rank=rank,
        stamp=stamp,
        currency="usd",
        amount_due_minor=amount,
        amount_paid_minor=draw(small),
        starts_subscription=stamp.event_id == "a",
        lines=(Line(amount, 1, stamp.event_id, False, True, None),),  # noqa: FBT003 - a row.
        has_failed=draw(st.booleans()),
        receipt_url=stamp.event_id,
        total_minor=amount,
        noted_minor=stamp.created,
        is_cut=stamp.event_id == "b",
    )


def session_details() -> st.SearchStrategy[SessionDetails]:
    """Sessions that contradict each other in every field."""
    lines = built(SessionLine, optional(names), small)
    return built(
        SessionDetails,
        is_one_time=st.booleans(),
        rank=small,
        payment_rank=small,
        currency=names,
        amount_total_minor=small,
        plan_id=optional(small),
        has_failed=st.booleans(),
        amount_subtotal_minor=optional(small),
        lines=optional(st.lists(lines, max_size=2).map(tuple)),
        named=st.dictionaries(small, small, max_size=2),
    )


def intent_details() -> st.SearchStrategy[IntentDetails]:
    """Intents with or without cumulative refunds of some charges."""
    reports = st.dictionaries(names, built(RefundedSoFar, small, small), min_size=1)
    return built(
        IntentDetails, small, small, names, st.booleans(), optional(names), optional(reports)
    )


def money_objects() -> st.SearchStrategy[MoneyObject]:
    """All that can be known of one object."""
    return built(
        MoneyObject,
        id=st.just("x"),
        kind=st.sampled_from(Kind),
        parents=st.frozensets(names),
        customer_id=optional(names),
        subscription_id=optional(names),
        claim=optional(built(UserClaim, st.integers(1, 3), stamps, names)),
        created=optional(small),
        invoice=optional(invoice_details()),
        session=optional(session_details()),
        intent=optional(intent_details()),
        assigned_user=optional(built(Assigned, stamps, names)),
        assigned_plan=optional(built(Assigned, stamps, names)),
    )


def refunds() -> st.SearchStrategy[Refund]:
    """Refunds in every status, also in ones that Stripe may add."""
    statuses = st.sampled_from([*REFUND_RANK, "held", "zapped"])
    targets = st.sampled_from(["pi_1", "pi_2", "ch_1", "py_1"])
    return built(Refund, st.just("re"), targets, statuses, small, optional(small))


def disputes() -> st.SearchStrategy[Dispute]:
    """Disputes whose status and funds were told at any time, also in one second."""
    untouched = st.just((Funds.UNTOUCHED, 0))
    moved = untouched | st.tuples(st.sampled_from([Funds.WITHDRAWN, Funds.REINSTATED]), small)
    targets = st.sampled_from(["pi_1", "ch_1"])
    return built(
        lambda target, status, created, amount, funds: Dispute(
            "dp", target, status, created, amount, funds[0], funds[1], status
        ),
        targets,
        names,
        small,
        small,
        moved,
    )


def credit_notes() -> st.SearchStrategy[CreditNote]:
    """Credit notes, void or not, with and without refunds."""
    refunds = st.dictionaries(names, small, max_size=2)
    return built(CreditNote, st.just("cn"), names, small, st.booleans(), refunds)


KINDS = pytest.mark.parametrize(
    "values",
    [
        customers,
        subscriptions,
        invoice_details,
        session_details,
        intent_details,
        money_objects,
        refunds,
        disputes,
        credit_notes,
        what_was_sold,
    ],
)
Strategy = Callable[[], st.SearchStrategy[Any]]


@KINDS
def test_the_order_in_which_two_are_joined_does_not_matter(values: Strategy) -> None:
    """Commutative: a with b is b with a."""

    @examples(150)
    @given(values(), values())
    def check(one: Any, other: Any) -> None:
        assert one.join(other) == other.join(one)

    check()


@KINDS
def test_the_grouping_of_three_does_not_matter(values: Strategy) -> None:
    """Associative: a batch that merges first ends as one event after the other."""

    @examples(250)
    @given(values(), values(), values())
    def check(one: Any, two: Any, three: Any) -> None:
        assert one.join(two).join(three) == one.join(two.join(three))

    check()


@KINDS
def test_what_is_known_already_changes_nothing(values: Strategy) -> None:
    """Idempotent: a duplicate, also one that was joined with others since."""

    @examples(100)
    @given(values(), values())
    def check(one: Any, other: Any) -> None:
        joined = one.join(other)
        assert joined.join(one) == joined
        assert joined.join(joined) == joined

    check()


@examples(200)
@given(st.lists(subscriptions(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_report_that_stands_does_not_depend_on_the_order(
    found: list[Subscription], random: Any
) -> None:
    """Also among reports of one second, and also whether it was a toss."""

    def newest(reports: list[Subscription]) -> tuple[Version | None, bool]:
        joined = reports[0]
        for report in reports[1:]:
            joined = joined.join(report)
        return joined.newest()

    shuffled = random.sample(found, len(found))
    assert newest(shuffled) == newest(found)


def test_a_session_keeps_the_details_of_its_furthest_report_whatever_else_is_paid() -> None:
    """Three reports whose grouping once decided: payment status no longer picks the report."""
    one, two, three = (
        SessionDetails(True, rank, paid, "usd", total, 4)  # noqa: FBT003 - a row.
        for rank, paid, total in [(2, 0, 1), (1, 2, 9), (2, 1, 5)]
    )
    expected = SessionDetails(True, 2, 2, "usd", 5, 4)  # noqa: FBT003 - a row.
    assert one.join(two).join(three) == one.join(two.join(three)) == expected
