"""A price of ours that somebody lets Stripe sell in a currency which our catalogue did not set."""

from typing import Any

import pytest

from sandbox.stripe.views import Paid
from tests.buyers import Buyer
from tests.offline_stripe import GOOD
from tests.shop_floor import BASIC, PACK, Floor

# Francs are in no catalogue; in euros the plan costs twice as much there.
AMOUNTS = {"chf": 700, "eur": 900}


@pytest.mark.parametrize(("currency", "tokens"), [("chf", 2_000), ("eur", 1_000)])
def test_a_plan_is_whole_unless_its_own_price_says_less(
    floor: Floor, currency: str, tokens: int
) -> None:
    """Paid, half of it given back, and renewed: money buys what the catalogue sells for it."""
    buyer = Buyer(floor, f"plan_{currency}")
    _sell(floor, buyer, BASIC, currency)
    assert (buyer.paid, buyer.balance) == ([("paid", AMOUNTS[currency], tokens)], tokens)
    buyer.refund(AMOUNTS[currency] // 2)
    assert buyer.balance == tokens // 2
    buyer.pass_period()
    assert buyer.balance == tokens // 2 + tokens


@pytest.mark.parametrize("currency", sorted(AMOUNTS))
def test_a_package_is_whole_by_its_line_items(floor: Floor, currency: str) -> None:
    """Once Stripe was asked what was in the session."""
    buyer = Buyer(floor, f"pack_{currency}")
    _sell(floor, buyer, PACK, currency)
    assert (buyer.paid, buyer.balance) == ([("paid", AMOUNTS[currency], 1_000)], 1_000)


def _sell(floor: Floor, buyer: Buyer, plan_id: int, currency: str) -> None:
    stripe, price = floor.stripe, floor.price_of(plan_id)
    options: Any = {"currency_options": {currency: {"unit_amount": AMOUNTS[currency]}}}
    stripe.client.v1.prices.update(price, options)
    customer = stripe.customer(buyer.user)
    session = stripe.session(price, customer, client_reference_id=buyer.user, currency=currency)
    assert isinstance(stripe.world.pay(session, GOOD), Paid)
    floor.settle()
