"""How contracts of the simulated account begin and run: trials, gifts, parts, pauses, names."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sandbox.simulate.coupons import Coupon
from sandbox.simulate.cycles import (
    Change,
    alter,
    cycle,
    extend_trial,
    pause_collection,
    resume_collection,
)
from sandbox.simulate.deals import Deal, Extra, sign
from sandbox.simulate.scene import DAY
from sandbox.simulate.versions import ApiVersion
from tests.contracts_sold import (
    DAHLIA,
    FREE,
    HALF,
    OLDEST,
    PRO,
    START,
    TEAM,
    a_buyer,
    a_contract,
    an_account,
    half_way,
    lines,
    objects,
    outcome,
    sales,
    tokens,
)


def at(year: int, month: int, day: int) -> int:
    """Midnight of a day."""
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


def test_a_trial_by_link_gives_the_plans_trial_tokens() -> None:
    """Neither session nor contract name us; the price names the plan, the reference the user."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, trial_days=7, by_link=True))
    (session,) = objects(account, "checkout.session.completed")
    assert (session["metadata"], session["client_reference_id"]) == ({}, "user")
    assert session["payment_link"].startswith("plink_")
    (drawn,) = objects(account, "customer.subscription.created")
    assert (drawn["metadata"], drawn["trial_end"]) == ({}, subscription.created + 7 * DAY)
    cycle(account, subscription)
    assert tokens(account) == [500, 10_000]


def test_a_trial_of_a_plan_without_trial_tokens_gives_none() -> None:
    """Team gives nothing for a trial, whoever offers it."""
    account = an_account()
    cycle(account, a_contract(account, Deal(TEAM, trial_days=7, by_link=True)))
    assert tokens(account) == [0, 25_003]


def test_a_trial_with_a_fee_and_usage_is_a_trial_of_the_plan_alone() -> None:
    """The fee is paid at once, the usage line costs nothing; 500 tokens once."""
    account = an_account()
    deal = Deal(PRO, extras=(Extra("Overage", 1),), fee_minor=1500, trial_days=14)
    a_contract(account, deal)
    assert [(sale.amount, sale.tokens) for sale in sales(account)] == [(1500, 500)]


def test_a_trial_of_two_plans_gives_the_trial_tokens_of_each() -> None:
    """500 for Pro and 300 for the other; each allowance once it is paid for."""
    other = replace(TEAM, trial_tokens=300)
    account = an_account()
    extra = Extra("Team", 5900, 2, plan=other)
    cycle(account, a_contract(account, Deal(PRO, extras=(extra,), trial_days=7)))
    assert tokens(account) == [800, 60_006]


def test_a_trial_extended_gives_its_tokens_once() -> None:
    """The second invoice of nothing does not begin the subscription."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, trial_days=7))
    extend_trial(account, subscription, 7 * DAY)
    assert subscription.period_end == subscription.created + 14 * DAY
    cycle(account, subscription)
    assert tokens(account) == [500, 0, 10_000]


def test_a_free_stretch_before_the_anchor_is_no_trial() -> None:
    """Nothing is charged and nothing granted until the anchor; then all of it."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, anchor_days=10))
    (drawn,) = objects(account, "customer.subscription.created")
    assert (drawn["trial_end"], drawn["trial_start"]) == (None, None)
    assert drawn["billing_cycle_anchor"] == subscription.created + 10 * DAY
    (line,) = lines(account)
    assert (line["amount"], line["period"]["end"]) == (0, drawn["billing_cycle_anchor"])
    cycle(account, subscription)
    assert tokens(account) == [0, 10_000]


@pytest.mark.parametrize("coupons", [(), (HALF,), (FREE,)])
def test_a_stretch_billed_before_the_anchor_is_part_of_the_interval_before_it(
    coupons: tuple[Coupon, ...],
) -> None:
    """Ten of the 30 days up to 15 May: a third of 10,000, at any discount."""
    account = an_account()
    account.start_over(at(2026, 5, 5))
    account.chance.randint = lambda *_: 0  # type: ignore[method-assign]  # nobody waits.
    a_contract(account, Deal(PRO, coupons=coupons, anchor_days=10, bills_part=True))
    # 10,000 x 967 / 2900 where the amount is rounded to cents, a third where time decides.
    expected = {(): 3_334, (HALF,): 3_333, (FREE,): 0}[coupons]
    assert tokens(account) == [expected]


def test_no_seats_are_worth_nothing_until_there_are_some() -> None:
    """Quantity 0 is no trial; three seats for half a month are 15,000."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO, 0))
    half_way(account, subscription)
    alter(account, subscription, Change(quantity=3))
    assert tokens(account) == [0, 15_000]


@pytest.mark.parametrize(
    ("behavior", "statuses", "event"),
    [
        ("void", ["paid", "failed", "paid"], "invoice.voided"),
        ("keep_as_draft", ["paid", "paid"], None),
        ("mark_uncollectible", ["paid", "failed", "paid"], "invoice.marked_uncollectible"),
    ],
)
def test_paused_collection_sells_nothing_until_it_resumes(
    behavior: str, statuses: list[str], event: str | None
) -> None:
    """The period in between is not paid; the contract is active all the time."""
    account = an_account()
    subscription = a_contract(account, Deal(PRO))
    resumes_at = subscription.period_end + 10 * DAY
    pause_collection(account, subscription, behavior, resumes_at)
    told = objects(account, "customer.subscription.updated")[-1]
    assert told["pause_collection"] == {"behavior": behavior, "resumes_at": resumes_at}
    cycle(account, subscription)
    resume_collection(account, subscription)
    assert account.now == resumes_at
    assert objects(account, "customer.subscription.updated")[-1]["pause_collection"] is None
    cycle(account, subscription)
    assert [sale.status for sale in sales(account)] == statuses
    assert outcome(account).balance == 20_000
    if event:
        assert len(objects(account, event)) == 1


@pytest.mark.parametrize(
    ("interval", "count", "days"),
    [("week", 1, (7, 7)), ("day", 10, (10, 10)), ("month", 3, (92, 91))],
)
def test_other_intervals_last_as_long_as_they_say(
    interval: str, count: int, days: tuple[int, int]
) -> None:
    """From 15 June three months are 92 days, the next 91; prices and plans tell the count."""
    account = an_account()
    plan = replace(PRO, interval=interval, interval_count=count)
    subscription = a_contract(account, Deal(plan), OLDEST)
    assert subscription.period_end - subscription.period_start == days[0] * DAY
    half_way(account, subscription)
    alter(account, subscription, Change(quantity=2))
    cycle(account, subscription)
    assert subscription.period_end - subscription.period_start == days[1] * DAY
    assert tokens(account) == [10_000, 5_000, 20_000]
    item = objects(account, "customer.subscription.created")[0]["items"]["data"][0]
    recurring = item["price"]["recurring"]
    assert (recurring["interval"], recurring["interval_count"]) == (interval, count)
    assert item["plan"]["interval_count"] == count


def test_periods_are_counted_from_the_anchor() -> None:
    """From 31 January: 28 February, then 31 March, not 28 March."""
    account = an_account()
    account.start_over(at(2026, 1, 31))
    account.chance.randint = lambda *_: 0  # type: ignore[method-assign]  # nobody waits.
    subscription = a_contract(account, Deal(PRO))
    ends = [subscription.period_end]
    for _ in range(2):
        cycle(account, subscription)
        ends.append(subscription.period_end)
    assert ends == [at(2026, 2, 28), at(2026, 3, 31), at(2026, 4, 30)]


def test_a_part_of_a_short_month_is_part_of_that_month() -> None:
    """Half of 31 January to 28 February is a half, though a month back from its end is longer."""
    account = an_account()
    account.start_over(at(2026, 1, 31))
    account.chance.randint = lambda *_: 0  # type: ignore[method-assign]  # nobody waits.
    subscription = a_contract(account, Deal(PRO, coupons=(HALF,)))
    half_way(account, subscription)
    alter(account, subscription, Change(quantity=2))
    assert tokens(account) == [10_000, 5_000]


def test_seats_added_before_the_anchor_are_part_of_the_interval_before_it() -> None:
    """Five of the 30 days up to 15 May for one seat more, at half price: 1,666."""
    account = an_account()
    account.start_over(at(2026, 5, 5))
    account.chance.randint = lambda *_: 0  # type: ignore[method-assign]  # nobody waits.
    deal = Deal(PRO, coupons=(HALF,), anchor_days=10, bills_part=True)
    subscription = a_contract(account, deal)
    account.until(at(2026, 5, 10))
    alter(account, subscription, Change(quantity=2))
    assert tokens(account) == [3_333, 1_666]


def test_a_payer_known_by_their_account_alone() -> None:
    """No object names the customer; the session's reference says whose the account is."""
    account = an_account()
    customer = a_buyer(account)
    customer.account_id, customer.named_by = "acct_buyer", "account"
    customer.linked, customer.announced = False, True
    cycle(account, sign(account, customer, Deal(PRO, by_link=True)))
    assert tokens(account) == [10_000, 10_000]
    kinds = ("checkout.session.completed", "customer.subscription.created", "invoice.paid")
    for kind in kinds:
        for drawn in objects(account, kind):
            assert (drawn["customer"], drawn["customer_account"]) == (None, "acct_buyer")


def test_a_version_without_customer_accounts_names_the_customer() -> None:
    """Before 2025-12-15 there is no other name."""
    account = an_account()
    customer = a_buyer(account, ApiVersion("2025-11-17.clover"))
    customer.account_id, customer.named_by = "acct_buyer", "account"
    sign(account, customer, Deal(PRO))
    (invoice,) = objects(account, "invoice.paid")
    assert (invoice["customer"], invoice["customer_account"]) == (customer.id, None)


def test_a_cut_list_says_that_there_is_more() -> None:
    """Ten of twelve lines and items are shown; the expected account counts the plan beyond them."""
    account = an_account()
    extras = tuple(Extra(f"Option {number}", 100, 1, first=True) for number in range(11))
    a_contract(account, Deal(PRO, extras=extras, lists_cut=10), DAHLIA)
    listed = objects(account, "invoice.paid")[0]["lines"]
    assert (len(listed["data"]), listed["has_more"]) == (10, True)
    items = objects(account, "customer.subscription.created")[0]["items"]
    assert (len(items["data"]), items["has_more"]) == (10, True)
    assert tokens(account) == [10_000]
    assert account.now > START
