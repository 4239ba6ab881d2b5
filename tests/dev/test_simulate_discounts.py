"""Coupons at the simulated account: what is billed, how it is drawn, and what it is worth."""

import pytest

from dev.simulate.coupons import Coupon
from dev.simulate.cycles import Change, alter, cycle, grant_coupon
from dev.simulate.deals import Deal
from dev.simulate.plans import Plan
from tests.contracts_sold import (
    DAHLIA,
    ENDIVE,
    FREE,
    HALF,
    OLDEST,
    PRO,
    TEAM,
    a_contract,
    an_account,
    half_way,
    lines,
    objects,
    outcome,
    sales,
    tokens,
)

PRICEY = Plan(104, "full", "Pricey", 7, "month", {"usd": 999}, {"usd": "price_pricey"})


@pytest.mark.parametrize(
    ("mode", "amounts", "said"),
    [
        ("classic", [-725, 1475], [[], []]),
        ("included", [-725, 1475], [[0], [0]]),
        ("itemized", [-1450, 2950], [[-725], [1475]]),
    ],
)
def test_an_upgrade_under_a_coupon_is_worth_the_same_however_it_is_billed(
    mode: str, amounts: list[int], said: list[list[int]]
) -> None:
    """Half of 25,003 in and half of 10,000 out: 7,501, whether the half off is netted or shown."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, coupons=(HALF,), mode=mode))
    half_way(account, subscription)
    alter(account, subscription, Change(account.price(TEAM, "usd"), 1))
    assert tokens(account) == [10_000, 7_501]
    assert [sale.amount for sale in sales(account)] == [1450, 750]
    drawn = lines(account)
    assert [line["amount"] for line in drawn] == amounts
    assert [[part["amount"] for part in line["discount_amounts"]] for line in drawn] == said
    assert {line["discountable"] for line in drawn} == {False}
    (discount,) = subscription.discounts
    assert [line["discounts"] for line in drawn] == [[discount.id], [discount.id]]


@pytest.mark.parametrize("mode", ["classic", "included", "itemized"])
def test_seats_added_in_a_free_month_are_worth_their_time(mode: str) -> None:
    """One seat more for half of a month that costs nothing: 5,000 tokens for 0.00."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, coupons=(FREE,), mode=mode))
    half_way(account, subscription)
    alter(account, subscription, Change(quantity=2, traced=False))
    assert tokens(account) == [10_000, 5_000]
    back, new = lines(account)
    assert (back["amount"], new["amount"]) == ((-1450, 2900) if mode == "itemized" else (0, 0))
    kind = back["parent"]["type"]
    traced = [line["parent"][kind]["proration_details"]["credited_items"] for line in (back, new)]
    # A zero is known for a credit by the line that it gives back.
    first = objects(account, "invoice.paid")[0]
    named = {"invoice": first["id"], "invoice_line_items": [first["lines"]["data"][0]["id"]]}
    assert traced == [None if mode == "itemized" else named, None]


@pytest.mark.parametrize(
    ("mode", "amounts"), [("classic", [-725, 1450]), ("included", [-1450, 1450])]
)
def test_a_credit_gives_back_what_was_billed_only_in_a_flexible_contract(
    mode: str, amounts: list[int]
) -> None:
    """A coupon given later nets the credit of a classic contract too; the worth is the same."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, mode=mode))
    half_way(account, subscription)
    grant_coupon(account, subscription, HALF)
    alter(account, subscription, Change(quantity=2))
    assert [line["amount"] for line in lines(account)] == amounts
    assert tokens(account) == [10_000, 5_000]


def test_a_coupon_ends_after_its_months_and_says_so() -> None:
    """Two months at half the price, the third at the whole; the allowance never changes."""
    account = an_account()
    coupon = Coupon("two", percent_off=50, duration="repeating", months=2)
    subscription = a_contract(account, Deal(PRO, coupons=(coupon,)))
    cycle(account, subscription)
    cycle(account, subscription)
    assert [sale.amount for sale in sales(account)] == [1450, 1450, 2900]
    assert tokens(account) == [10_000, 10_000, 10_000]
    (ended,) = objects(account, "customer.discount.deleted")
    assert ended["end"] == subscription.period_start
    assert subscription.discounts == []


def test_a_coupon_for_once_is_gone_after_the_first_bill() -> None:
    """The first invoice names it, the contract no longer, and the renewal costs the whole."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, coupons=(Coupon("once", 50, duration="once"),)))
    cycle(account, subscription)
    assert [sale.amount for sale in sales(account)] == [1450, 2900]
    told = [each["discounts"] for each in objects(account, "customer.subscription.updated")]
    assert len(objects(account, "customer.subscription.created")[0]["discounts"]) == 1
    assert told[0] == []


def test_an_amount_off_and_a_share_off_are_taken_one_after_the_other() -> None:
    """Half of 29.00, then 5.00: 9.50. Two seats at half time: net 17.00 less 4.75, by time."""
    account = an_account()
    five = Coupon("five", amount_off=500, currency="usd")
    subscription = a_contract(account, Deal(PRO, coupons=(HALF, five)))
    half_way(account, subscription)
    alter(account, subscription, Change(quantity=2))
    assert [sale.amount for sale in sales(account)] == [950, 1200 - 475]
    assert tokens(account) == [10_000, 5_000]
    parts = [part["amount"] for part in lines(account, 0)[0]["discount_amounts"]]
    assert parts == [1450, 500]
    (first, _) = objects(account, "invoice.paid")
    assert [part["amount"] for part in first["total_discount_amounts"]] == [1450, 500]


def test_an_odd_part_is_cut_toward_zero_once_an_invoice() -> None:
    """A third of a 30-day month of 7 tokens twice, less once: 2.33 is 2, and -2.33 is -2."""
    account = an_account()
    deal = Deal(PRICEY, coupons=(HALF,))
    subscription = a_contract(account, deal)
    length = subscription.period_end - subscription.period_start
    account.until(subscription.period_start + length * 2 // 3)
    alter(account, subscription, Change(quantity=2))
    alter(account, subscription, Change(quantity=1))
    assert tokens(account) == [7, 2, -2]


def test_changes_billed_later_come_with_the_next_period() -> None:
    """Nothing is invoiced at the change; the renewal bills both parts and the new month."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, coupons=(HALF,)))
    half_way(account, subscription)
    assert alter(account, subscription, Change(quantity=3, bills="later")) is None
    changed_at, ended_at = account.now, subscription.period_end
    cycle(account, subscription)
    assert tokens(account) == [10_000, -5_000 + 15_000 + 30_000]
    periods = [line["period"] for line in lines(account)]
    assert periods[:2] == [{"start": changed_at, "end": ended_at}] * 2
    assert periods[2]["start"] == ended_at


def test_a_downgrade_under_a_coupon_takes_by_time_and_leaves_credit() -> None:
    """Half of 25,003 out and half of 10,000 in: -7,501, for nothing paid."""
    account = an_account()
    subscription = a_contract(account, Deal(TEAM, coupons=(HALF,)))
    half_way(account, subscription)
    alter(account, subscription, Change(account.price(PRO, "usd"), 1))
    assert tokens(account) == [25_003, -7_501]
    assert outcome(account).balance == 17_502
    assert subscription.customer.balance_minor == -750


def test_an_old_endpoint_has_room_for_one_discount_with_its_coupon() -> None:
    """Before basil `discount` holds the coupon whole; since clover only `source` names it."""
    account = an_account()
    a_contract(account, Deal(PRO, coupons=(HALF,), promoted=True), OLDEST)
    drawn = objects(account, "customer.subscription.created")[0]
    assert drawn["discount"]["coupon"]["percent_off"] == 50
    assert drawn["discounts"] == [drawn["discount"]["id"]]
    (session,) = objects(account, "checkout.session.completed")
    (applied,) = session["discounts"]
    assert applied == {"coupon": "half", "promotion_code": drawn["discount"]["promotion_code"]}
    assert session["total_details"]["amount_discount"] == 1450


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("classic", {"type": "classic", "flexible": None}),
        ("included", {"type": "flexible", "flexible": {"proration_discounts": "included"}}),
        ("itemized", {"type": "flexible", "flexible": {"proration_discounts": "itemized"}}),
    ],
)
def test_a_contract_says_its_billing_mode(mode: str, said: dict[str, object]) -> None:
    """From clover on the mode tells how prorations show discounts."""
    for version in (DAHLIA, ENDIVE):
        account = an_account()
        a_contract(account, Deal(PRO, mode=mode), version)
        assert objects(account, "customer.subscription.created")[0]["billing_mode"] == said
