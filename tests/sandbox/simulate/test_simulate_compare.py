"""The comparison: each kind of wrong answer is seen, and only wrong ones."""

from dataclasses import replace
from typing import Any

from sandbox.simulate.account import Account
from sandbox.simulate.compare import compare
from sandbox.simulate.expected import Expectation
from sandbox.simulate.plans import Plan
from sandbox.simulate.reading import Found
from sandbox.simulate.versions import NEW

PRO = Plan(1, "full", "Pro", 10_000, "month", {"usd": 2900}, {"usd": "price_pro"})


def expected() -> Expectation:
    """A user who subscribed once."""
    account = Account(seed=1, run="test", starts_at=1_750_000_000)
    account.subscribe(account.customer("user", NEW[0]), PRO)
    (only,) = account.expected.users()
    return only


def found(wanted: Expectation) -> Found:
    """What a right receiver would say of them."""
    (sale,), (contract,) = wanted.sales, wanted.subscriptions
    subscription: dict[str, Any] = {
        "id": contract.id,
        "plan_id": 1,
        "plan_type": "full",
        "status": "active",
        "is_active": True,
        "quantity": 1,
        "items": [{"plan_id": 1, "quantity": 1}],
        "current_period_start": contract.period_start,
        "current_period_end": contract.period_end,
        "cancel_at_period_end": False,
        "cancel_at": None,
        "canceled_at": None,
        "trial_end": None,
    }
    payment: dict[str, Any] = {
        "id": sale.id,
        "amount": 2900,
        "amount_refunded": 0,
        "amount_disputed": 0,
        "currency": "usd",
        "status": "paid",
        "plan_id": 1,
        "plan_type": "full",
        "subscription_id": contract.id,
        "tokens": 10_000,
    }
    entry = {"delta": 10_000, "balance_after": 10_000, "payment_id": sale.id}
    return Found(10_000, (subscription,), (payment,), (entry,))


def areas(wanted: Expectation, answer: Found) -> list[str]:
    """Where an answer differs."""
    return [difference.area for difference in compare(wanted, answer)]


def test_a_right_answer_has_no_difference() -> None:
    """Equal is equal."""
    wanted = expected()
    assert compare(wanted, found(wanted)) == []


def test_a_wrong_balance_is_a_difference() -> None:
    """One token is enough."""
    wanted = expected()
    (difference,) = compare(wanted, replace(found(wanted), balance=9999))
    assert str(difference) == "user: balance: expected 10000, found 9999"


def test_a_missing_doubled_or_strange_payment_is_a_difference() -> None:
    """Each payment is listed once, and no other."""
    wanted = expected()
    right = found(wanted)
    (payment,) = right.payments
    assert areas(wanted, replace(right, payments=())) == ["payments"]
    assert areas(wanted, replace(right, payments=(payment, payment))) == ["payments"]
    strange = (payment, {**payment, "id": "in_other"})
    assert areas(wanted, replace(right, payments=strange)) == ["payments"]


def test_a_stale_subscription_is_a_difference_for_each_field() -> None:
    """Status and access are told apart."""
    wanted = expected()
    right = found(wanted)
    stale = {**right.subscriptions[0], "status": "incomplete", "is_active": False}
    assert areas(wanted, replace(right, subscriptions=(stale,))) == ["subscriptions"] * 2


def test_a_ledger_that_sums_right_for_the_wrong_payment_is_a_difference() -> None:
    """Entries must sum to the net of each payment, not only in total."""
    wanted = expected()
    right = found(wanted)
    moved = {**right.ledger[0], "payment_id": "in_other"}
    assert areas(wanted, replace(right, ledger=(moved,))) == ["ledger", "ledger"]


def a_link_sale(*, billed: bool) -> Expectation:
    """A user who bought through a Payment Link that names no plan, with or without an invoice."""
    account = Account(seed=1, run="test", starts_at=1_750_000_000)
    pack = Plan(4, "token", "Pack", 1000, None, {"usd": 500}, {"usd": "price_pack"})
    buyer = account.customer("user", NEW[0], linked=False)
    session = account.link_session(buyer, [(pack, 1)], reference="user", invoicing=billed)
    account.sell(session)
    (only,) = account.expected.users()
    return only


def listed(wanted: Expectation, **changes: object) -> Found:
    """What a right receiver would list of such a sale, but for some changes."""
    (sale,) = wanted.sales
    payment: dict[str, Any] = {
        "id": sale.id,
        "amount": 500,
        "amount_refunded": 0,
        "amount_disputed": 0,
        "currency": "usd",
        "status": "paid",
        "plan_id": None,
        "plan_type": None,
        "subscription_id": None,
        "tokens": sale.tokens,
    }
    entry = {"delta": sale.tokens, "balance_after": sale.tokens, "payment_id": sale.id}
    return Found(sale.tokens, (), (payment | changes,), (entry,) if sale.tokens else ())


def test_a_payment_worth_nothing_yet_must_say_so_and_no_other_may() -> None:
    """`note` is null or not: what it says is for people."""
    unknown, known = a_link_sale(billed=False), a_link_sale(billed=True)
    sold: dict[str, Any] = {"plan_id": 4, "plan_type": "token"}
    said = "500 usd paid: what was bought is not known yet"
    assert compare(unknown, listed(unknown, note=said)) == []
    assert compare(unknown, listed(unknown, note=said, **sold)) == []
    assert areas(unknown, listed(unknown, note=None)) == ["payments"]
    assert areas(unknown, listed(unknown)) == ["payments"]
    assert compare(known, listed(known, note=None, **sold)) == []
    assert areas(known, listed(known, note=said, **sold)) == ["payments"]
    assert areas(known, listed(known, note=None)) == ["payments"] * 2


def test_disputed_and_refunded_money_are_told_apart() -> None:
    """Each sum is a figure of its own."""
    wanted = a_link_sale(billed=True)
    sold: dict[str, Any] = {"plan_id": 4, "plan_type": "token"}
    for name in ("amount", "amount_refunded", "amount_disputed"):
        assert areas(wanted, listed(wanted, **sold, **{name: 1})) == ["payments"]
