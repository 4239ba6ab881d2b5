"""A card that the shop lets Stripe keep is no sale, whatever became of its page."""

from typing import Any

from sandbox.stripe.views import Declined, Paid
from tests.buyers import Buyer
from tests.offline_stripe import BROKE, DAY, GOOD
from tests.shop_floor import PACK, SHOP, Floor


def test_a_kept_card_is_no_sale(floor: Floor) -> None:
    """Completed and expired pages are applied, and nobody has or owes anything because of them."""
    ann, stripe = Buyer(floor, "ann"), floor.stripe
    customer = stripe.customer("ann")
    guests: Any = {"mode": "setup", "currency": "usd", "success_url": f"{SHOP}/kept"}
    hers = guests | {"customer": customer, "client_reference_id": "ann"}
    sessions = stripe.client.v1.checkout.sessions
    for params in (hers, guests):
        kept = sessions.create(params).id
        assert isinstance(stripe.world.pay(kept, BROKE), Declined)
        assert isinstance(stripe.world.pay(kept, GOOD), Paid)
        sessions.create(params)
    stripe.world.advance(2 * DAY)
    floor.settle()
    assert stripe.types().count("checkout.session.expired") == 2
    assert (ann.payments, ann.subscriptions, ann.balance) == ([], [], 0)
    flagged = floor.rows("SELECT id FROM payments WHERE lacks_user OR lacks_plan OR listed")
    assert flagged == []
    # The same customer buys as ever.
    ann.buy(PACK)
    assert ann.balance == 1_000
