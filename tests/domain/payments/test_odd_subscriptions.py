"""Stories of the simulated account through the pure core, in any order: as expected."""

import random

import pytest

from sandbox.simulate.account import Account
from sandbox.simulate.play import play as perform
from sandbox.simulate.subscribing import SUBSCRIBING
from sandbox.simulate.versions import NEW, OLD
from tests.contracts_sold import START, a_catalogue
from tests.play import play
from tests.simulated_catalogue import catalogue_of

TODAY = 1_800_000_000


@pytest.mark.parametrize("name", sorted(SUBSCRIBING))
def test_the_core_agrees_with_the_sellers_books_in_any_order(name: str) -> None:
    """Balance and payments of some buyers of one story, as it happened and shuffled."""
    plans = a_catalogue()
    account = Account(seed=11, run="test", starts_at=START)
    perform(account, plans, OLD + NEW, customers=6, today=TODAY, stories={name: SUBSCRIBING[name]})
    events = [event.payload for event in account.events]
    shuffled = random.Random(name).sample(events, len(events))  # noqa: S311 - an order, no secret.
    expected = account.expected.users()
    for order in (events, shuffled):
        tables = play(order, catalogue_of(plans, loaded=TODAY))
        assert {each.user_id: tables.balances.get(each.user_id, 0) for each in expected} == {
            each.user_id: each.balance for each in expected
        }
        worth = {each.id: each.tokens for each in tables.payments.values()}
        assert worth == {sale.id: sale.tokens for each in expected for sale in each.sales}
