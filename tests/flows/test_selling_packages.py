"""Selling what is bought once, from our API to the balance: field guide §4.1 and §4.2.

Real are our app, its engines, the signed webhooks and their HTTP; Stripe is the offline one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.offline_stripe import ASKS, BROKE, DAY, GOOD
from tests.shop_floor import INLINE_PACK, PACK, SHOP, Floor, shop_floor


@pytest.fixture(scope="module")
def floor(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Floor]:
    """One shop for all stories of this module; in the end the audit must agree with it."""
    with shop_floor(database_url, redis_url, tmp_path_factory.mktemp("stripe")) as opened:
        yield opened
        assert opened.differences() == []


def test_a_package_bought_by_card_is_complete_when_the_buyer_is_back(floor: Floor) -> None:
    """4.1: open, then paid once, whatever number of events report it."""
    ada = floor.buyer("ada")
    session = ada.checkout(PACK)
    assert ada.status(session)["status"] == "open"
    said = floor.stripe.world.pay(session, GOOD)
    print(said)
    floor.settle()
    assert ada.status(session) == {
        "status": "complete",
        "plan_id": PACK,
        "tokens_granted": 1_000,
        "subscription_id": None,
    }
    print(ada.payments, ada.ledger)
