"""Stories of the simulated account through the pure core: its books against ours, in any order.

Only those that need nothing but what the core knows today; the others are played once it does.
"""

import random

import pytest

from dev.simulate.account import Account
from dev.simulate.plans import Plan as Sold
from dev.simulate.play import play as perform
from dev.simulate.subscribing import SUBSCRIBING
from dev.simulate.versions import NEW, OLD
from domain.catalogue import Catalogue, Plan
from tests.contracts_sold import START, a_catalogue
from tests.play import play

TODAY = 1_800_000_000
AGREED = (
    "coupon for ever",
    "coupon for some months",
    "two plans in one",
    "inline price",
    "negotiated price",
    "plan renamed in metadata",
    "plan renamed and billed",
    "price rise, old price",
    "price rise, inline",
    "trial by link",
    "trial by link, no tokens",
    "two trials",
    "trial extended",
    "collection paused, void",
    "collection paused, drafts",
    "quarterly, inline",
    "weekly, inline",
    "odd interval",
)


def catalogue(plans: tuple[Sold, ...]) -> Catalogue:
    """The same plans as the core has them; who bought before the rise has the earlier version."""
    return Catalogue.of(
        [
            Plan(
                id=terms.id,
                version=number,
                type="full" if terms.type == "full" else "token",
                name=terms.name,
                description="",
                tokens=terms.tokens,
                interval=terms.interval,
                trial_days=terms.trial_days,
                trial_tokens=terms.trial_tokens,
                active=True,
                prices=dict(terms.prices),
                stripe_price_ids={each: code for code, each in terms.price_ids.items()},
                effective_from=TODAY + number,
            )
            for plan in plans
            for number, terms in enumerate([*reversed(plan.former), plan], start=1)
        ]
    )


@pytest.mark.parametrize("name", AGREED)
def test_the_core_agrees_with_the_sellers_books_in_any_order(name: str) -> None:
    """Balance and payments of some buyers of one story, as it happened and shuffled."""
    plans = a_catalogue()
    account = Account(seed=11, run="test", starts_at=START)
    perform(account, plans, OLD + NEW, customers=6, today=TODAY, stories={name: SUBSCRIBING[name]})
    events = [event.payload for event in account.events]
    shuffled = random.Random(name).sample(events, len(events))  # noqa: S311 - an order, no secret.
    expected = account.books.close()
    for order in (events, shuffled):
        tables = play(order, catalogue(plans))
        assert {each.user_id: tables.balances.get(each.user_id, 0) for each in expected} == {
            each.user_id: each.balance for each in expected
        }
        worth = {each.id: each.tokens for each in tables.payments.values()}
        assert worth == {sale.id: sale.tokens for each in expected for sale in each.sales}
