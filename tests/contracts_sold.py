"""Contracts of the simulated account: one buyer, some plans, what is expected."""

from dataclasses import replace
from typing import Any

from sandbox.simulate.account import Account
from sandbox.simulate.contract_records import Customer, Subscription
from sandbox.simulate.coupons import Coupon
from sandbox.simulate.deals import Deal, sign
from sandbox.simulate.expected import Expectation
from sandbox.simulate.plans import SAMPLE_PLANS, Plan, read_file
from sandbox.simulate.sales import Sale
from sandbox.simulate.versions import EVERY, ApiVersion

START = 1_750_000_000
OLDEST, DAHLIA, ENDIVE = EVERY[0], ApiVersion("2026-03-25.dahlia"), EVERY[-1]

PRO = Plan(
    101, "full", "Pro", 10_000, "month", {"usd": 2900, "eur": 2700}, {"usd": "price_pro"}, 0, 500
)
TEAM = Plan(103, "full", "Team", 25_003, "month", {"usd": 5900}, {"usd": "price_team"})
HALF = Coupon("half", percent_off=50)
FREE = Coupon("free", percent_off=100)


def a_catalogue() -> tuple[Plan, ...]:
    """The sample with a price rise behind one plan, and with two odd intervals."""
    sample = list(read_file(SAMPLE_PLANS))
    old_ids = {code: f"price_former_{code}" for code in sample[1].prices}
    cheaper = {code: price * 2 // 3 for code, price in sample[1].prices.items()}
    former = replace(sample[1], tokens=8_000, prices=cheaper, price_ids=old_ids)
    sample[1] = sample[1].risen_from([former])
    quarterly = Plan(
        7, "full", "Quarter", 30_000, "month", {"usd": 8000}, {"usd": "price_q"}, interval_count=3
    )
    weekly = Plan(8, "full", "Week", 700, "week", {"usd": 300}, {"usd": "price_w"})
    return (*sample, quarterly, weekly)


def an_account() -> Account:
    """An account whose clock stands at START."""
    return Account(seed=1, run="test", starts_at=START)


def a_buyer(account: Account, version: ApiVersion = DAHLIA) -> Customer:
    """A buyer called `user`."""
    return account.customer("user", version)


def a_contract(account: Account, deal: Deal, version: ApiVersion = DAHLIA) -> Subscription:
    """A contract of a new buyer."""
    return sign(account, a_buyer(account, version), deal)


def half_way(account: Account, subscription: Subscription) -> None:
    """Wait until half of the period is over."""
    account.until((subscription.period_start + subscription.period_end) // 2)


def outcome(account: Account) -> Expectation:
    """What the only user must have."""
    (only,) = account.expected.users()
    return only


def sales(account: Account) -> list[Sale]:
    """The payments of the only user."""
    return list(outcome(account).sales)


def tokens(account: Account) -> list[int]:
    """What each payment is worth."""
    return [sale.tokens for sale in sales(account)]


def objects(account: Account, kind: str) -> list[dict[str, Any]]:
    """The objects of all events of a type."""
    return [event.payload["data"]["object"] for event in account.events if event.type == kind]


def lines(account: Account, number: int = -1) -> list[dict[str, Any]]:
    """The lines of one of the paid invoices."""
    found: list[dict[str, Any]] = objects(account, "invoice.paid")[number]["lines"]["data"]
    return found
