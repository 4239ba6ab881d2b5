"""Contracts of the simulated account with more than a plan, or at other prices than its own."""

from dataclasses import replace

import pytest

from dev.simulate.compare import compare
from dev.simulate.cycles import Change, alter, cycle
from dev.simulate.deals import Deal, Extra, price_for
from dev.simulate.packages import contract_metadata
from dev.simulate.plans import Plan
from dev.simulate.reading import Found
from dev.simulate.versions import ApiVersion
from tests.contracts_sold import (
    DAHLIA,
    ENDIVE,
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

OVERAGE = Extra("Overage", 1)


def test_usage_beside_a_plan_is_worth_nothing() -> None:
    """29.00 for the plan and 58.00 for usage: 10,000 tokens, first and later."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, extras=(OVERAGE,)))
    cycle(account, subscription, usage=5800)
    assert [sale.amount for sale in sales(account)] == [2900, 8700]
    assert tokens(account) == [10_000, 10_000]


def test_usage_of_nothing_on_the_first_invoice_is_no_trial() -> None:
    """A metered line of 0 beside the plan's; Pro would give 500 for a trial."""
    account = an_account()
    a_contract(account, Deal(PRO, extras=(OVERAGE,)))
    assert tokens(account) == [10_000]
    _, metered = lines(account)
    assert (metered["amount"], metered["quantity"], metered["quantity_decimal"]) == (0, 0, "0")
    item = objects(account, "customer.subscription.created")[0]["items"]["data"][1]
    assert item["price"]["recurring"]["usage_type"] == "metered"
    assert "quantity" not in item
    assert item["id"] == metered["parent"]["subscription_item_details"]["subscription_item"]


def test_fees_and_licenses_without_tokens_count_nothing() -> None:
    """A fee once and support every month are paid for, and worth nothing."""
    account = an_account()
    deal = Deal(PRO, 2, extras=(Extra("Support", 700, 1, first=True),), fee_minor=1500)
    cycle(account, a_contract(account, deal))
    assert [sale.amount for sale in sales(account)] == [5800 + 700 + 1500, 5800 + 700]
    assert tokens(account) == [20_000, 20_000]


def test_two_plans_in_one_contract_both_count() -> None:
    """Pro once and Team twice: 10,000 and 50,006."""
    account = an_account()
    a_contract(account, Deal(PRO, extras=(Extra("Team", 5900, 2, plan=TEAM),)))
    assert tokens(account) == [60_006]


def test_a_claim_is_for_the_first_of_equal_items() -> None:
    """Three twins of the same price listed before it sell nothing; the first by id sells Pro."""
    account = an_account()
    twin = Extra("Twin", 2900, 3, first=True)
    subscription = a_contract(account, Deal(PRO, inline=True, extras=(twin, OVERAGE)))
    ids = [item.id for item in subscription.items if not item.price.metered]
    assert subscription.item_id == min(ids)
    assert [item.plan for item in subscription.items] == [None, PRO, None]
    assert tokens(account) == [10_000]


def test_a_claim_that_no_item_fits_sells_nothing() -> None:
    """Of two licenses at other prices than the plan's neither is the plan."""
    account = an_account()
    extras = (Extra("Support", 3000, 1),)
    a_contract(account, Deal(PRO, inline=True, unit_minor=2800, extras=extras, sold=False))
    (sale,) = sales(account)
    assert (sale.amount, sale.tokens, sale.plans) == (5800, 0, frozenset())


def test_a_row_lists_every_item_and_shows_the_plans_own() -> None:
    """What no item sells has no plan; a metered one's quantity is nobody's business."""
    account = an_account()
    deal = Deal(PRO, 2, extras=(Extra("Support", 700, 1, first=True), OVERAGE))
    subscription = a_contract(account, deal)
    row = {
        "id": subscription.id,
        "plan_id": 101,
        "plan_type": "full",
        "status": "active",
        "is_active": True,
        "quantity": 2,
        "items": [
            {"plan_id": None, "quantity": 1},
            {"plan_id": 101, "quantity": 2},
            {"plan_id": None, "quantity": 1},
        ],
        "current_period_start": subscription.period_start,
        "current_period_end": subscription.period_end,
        "cancel_at_period_end": False,
        "cancel_at": None,
        "canceled_at": None,
        "trial_end": None,
    }
    found = Found(20_000, (row,), (), ())
    assert [each for each in compare(outcome(account), found) if each.area == "subscriptions"] == []
    wrong = {**row, "items": [{"plan_id": 101, "quantity": 1}, *row["items"][1:]]}  # type: ignore[index]
    differences = compare(outcome(account), replace(found, subscriptions=(wrong,)))
    assert [each.what for each in differences if each.area == "subscriptions"] == [
        f"{subscription.id} items"
    ]


def test_a_negotiated_price_is_worth_its_part_of_the_plan() -> None:
    """Pro for 19.00 instead of 29.00: 10,000 x 1900 / 2900 = 6,551."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, inline=True, unit_minor=1900))
    cycle(account, subscription)
    assert tokens(account) == [6_551, 6_551]
    assert not subscription.price.known


def test_a_plan_renamed_in_metadata_is_what_the_renewal_sells() -> None:
    """Pro first, then Team by name alone: 10,000 and 25,003."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, inline=True))
    price = price_for(account, Deal(TEAM, inline=True), "usd")
    metadata = contract_metadata(subscription.customer, TEAM)
    alter(account, subscription, Change(price, 1, metadata, bills="never", renames=True))
    cycle(account, subscription)
    assert tokens(account) == [10_000, 25_003]
    first, second = objects(account, "invoice.paid")
    named = [
        each["parent"]["subscription_details"]["metadata"]["plan_id"] for each in (first, second)
    ]
    assert named == ["101", "103"]


def test_a_renamed_plan_is_what_both_lines_of_the_difference_are_worth() -> None:
    """The invoice names Team alone: 25,003 x (2950 - 1450) / 5900 = 6,356."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, inline=True))
    half_way(account, subscription)
    price = price_for(account, Deal(TEAM, inline=True), "usd")
    metadata = contract_metadata(subscription.customer, TEAM)
    alter(account, subscription, Change(price, 1, metadata, renames=True))
    assert [line["amount"] for line in lines(account)] == [-1450, 2950]
    assert tokens(account) == [10_000, 6_356]


@pytest.mark.parametrize("inline", [True, False])
def test_who_bought_before_a_price_rise_keeps_price_and_allowance(*, inline: bool) -> None:
    """29.00 is still 10,000 tokens, though the plan costs 39.00 now."""
    former = replace(PRO, prices={"usd": 2900})
    risen = replace(
        PRO, tokens=12_000, prices={"usd": 3900}, price_ids={"usd": "new"}, former=(former,)
    )
    account = an_account()
    subscription = a_contract(account, Deal(former, inline=inline))
    cycle(account, subscription)
    assert tokens(account) == [10_000, 10_000]
    half_way(account, subscription)
    alter(account, subscription, Change(account.price(risen, "usd"), 1))
    assert tokens(account)[-1] == 1_000
    assert sales(account)[-1].amount == 500


def test_a_currency_without_a_price_counts_by_quantity_and_time() -> None:
    """Two seats for any amount of kronor are 20,000; a third for half a month is 5,000."""
    account = an_account()
    deal = Deal(PRO, 2, inline=True, unit_minor=31_415, currency="sek")
    subscription = a_contract(account, deal)
    half_way(account, subscription)
    alter(account, subscription, Change(quantity=3, traced=False))
    assert tokens(account) == [20_000, 5_000]
    assert {invoice["currency"] for invoice in objects(account, "invoice.paid")} == {"sek"}


def test_a_price_of_several_currencies_is_known_by_its_id() -> None:
    """The plan's own price id, paid in kronor."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, unit_minor=31_415, currency="sek"))
    assert (subscription.price.id, subscription.price.known) == ("price_pro", True)
    assert tokens(account) == [10_000]


def test_a_quantity_in_decimals_counts_whole() -> None:
    """Two and a half seats are 25,000 tokens, though `quantity` says 2."""
    account = an_account()
    deal = Deal(PRO, 2, "2.5", inline=True, unit_minor=30_000, currency="sek")
    a_contract(account, deal)
    assert tokens(account) == [25_000]
    (line,) = lines(account)
    assert (line["quantity"], line["quantity_decimal"], line["amount"]) == (2, "2.5", 75_000)


@pytest.mark.parametrize(("version", "told"), [(OLDEST, False), (DAHLIA, True), (ENDIVE, True)])
def test_decimals_are_told_from_the_version_that_brought_them(
    version: ApiVersion, *, told: bool
) -> None:
    """`quantity_decimal` is there since 2026-03-25."""
    account = an_account()
    a_contract(account, Deal(PRO, 3), version)
    (line,) = lines(account)
    assert line.get("quantity_decimal") == ("3" if told else None)


def test_a_free_plan_counts_by_quantity() -> None:
    """A plan for nothing is worth its allowance each period, and a change of it nothing."""
    free = Plan(105, "full", "Free", 100, "month", {"usd": 0}, {"usd": "price_free"})
    account = an_account()
    subscription = a_contract(account, Deal(free, 2))
    half_way(account, subscription)
    alter(account, subscription, Change(quantity=3))
    assert tokens(account) == [200, 0]
