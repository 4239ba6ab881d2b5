"""The comparison: each kind of wrong answer is seen, and only wrong ones."""

from dataclasses import replace
from typing import Any

from dev.simulate.account import Account
from dev.simulate.compare import compare
from dev.simulate.expected import Expectation
from dev.simulate.plans import Plan
from dev.simulate.reading import Found
from dev.simulate.versions import NEW

PRO = Plan(1, "full", "Pro", 10_000, "month", {"usd": 2900}, {"usd": "price_pro"})


def expected() -> Expectation:
    """A user who subscribed once."""
    account = Account(seed=1, run="test", starts_at=1_750_000_000)
    account.subscribe(account.customer("user", NEW[0]), PRO)
    (only,) = account.books.close()
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
