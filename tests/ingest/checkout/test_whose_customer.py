"""Which Stripe customer a user pays as: their own, whoever else names them in a payment link."""

from typing import Any

import pytest

from tests.ingest.shop import PACKAGE, PRO, UNSYNCED, Shop, problem, swept
from tests.stripe_objects import (
    a_customer,
    a_line,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
)

PORTAL = "POST billing_portal/sessions"
SESSION = "POST checkout/sessions"
CUSTOMER = "POST customers"


@pytest.fixture
def shop(mall: Shop) -> Shop:
    """The same, where nothing has happened yet; Stripe has a stranger's customer."""
    found = swept(mall)
    for name in ("cus_1", "cus_stranger"):
        found.stripe.customers[name] = a_customer(id=name)
    return found


def by_link(created: int = 1_700_000_000, **changes: Any) -> dict[str, Any]:
    """A payment link's session, in whose address a stranger named `user_1`."""
    link = {"id": "cs_link", "customer": "cus_stranger", "metadata": {}, "payment_link": "plink_1"}
    return an_event("checkout.session.completed", a_session(**link | changes), created=created)


def pays_as(shop: Shop) -> set[str]:
    """Whom Stripe is asked for by the portal and by a checkout of `user_1`."""
    shop.stripe.asked.clear()
    assert shop.portal().status_code == 200
    shop.bought(UNSYNCED)
    asked = [each for each in shop.stripe.asked if each.what in (PORTAL, SESSION)]
    assert [each.what for each in asked] == [PORTAL, SESSION]
    return {each.params["customer"] for each in asked}


@pytest.mark.parametrize("created", [1_500_000_000, 1_800_000_000])
def test_a_strangers_payment_does_not_change_who_a_buyer_is(shop: Shop, created: int) -> None:
    """The customer that we made stays, whenever the stranger paid."""
    shop.bought(PACKAGE)
    shop.work(by_link(created))
    assert pays_as(shop) == {"cus_made_1"}


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("created", [1_500_000_000, 1_800_000_000])
def test_a_strangers_payment_does_not_change_a_linked_customer(
    shop: Shop, created: int, step: int
) -> None:
    """Where we made none it is the one linked first, in whatever order events come."""
    events = [by_link(created), an_event("customer.created", a_customer())]
    for event in events[::step]:
        shop.work(event)
    assert pays_as(shop) == {"cus_1"}


def test_who_only_ever_paid_by_link_has_that_customer(shop: Shop) -> None:
    """They too may look after what they bought."""
    shop.work(by_link())
    assert pays_as(shop) == {"cus_stranger"}
    assert shop.stripe.count(CUSTOMER) == 0


def test_a_purchase_of_ours_links_as_firmly_as_any_other_event(shop: Shop) -> None:
    """Its session was made for this user alone, so the earlier of the two links stands."""
    shop.work(an_event("customer.created", a_customer()))
    session = shop.bought(PACKAGE)["session_id"]
    shop.execute("TRUNCATE customers, webhook_events")
    paid = shop.told(session, status="complete", payment_status="paid")
    shop.work(an_event("checkout.session.completed", paid, created=1_700_000_000))
    later = a_customer(id="cus_stranger")
    shop.work(an_event("customer.created", later, created=1_700_000_100))
    assert pays_as(shop) == {"cus_1"}


def test_a_strangers_subscription_has_no_portal_but_when_it_is_named(shop: Shop) -> None:
    """It is the user's by its tokens, so it may be named; nothing else leads there."""
    shop.bought(PACKAGE)
    strange = a_subscription(id="sub_link", customer="cus_stranger", metadata={})
    link = by_link(mode="subscription", subscription="sub_link", payment_intent=None)
    shop.work(link, an_event("customer.subscription.created", strange))
    assert pays_as(shop) == {"cus_made_1"}
    for flow in ("cancel", "update"):
        assert problem(shop.portal(flow=flow)) == (409, "no_subscription")
    assert shop.portal(flow="payment_method").status_code == 200
    assert shop.stripe.asked[-1].params["customer"] == "cus_made_1"
    assert shop.portal(flow="cancel", subscription_id="sub_link").status_code == 200
    assert shop.stripe.asked[-1].params["customer"] == "cus_stranger"


def test_a_strangers_subscription_does_not_choose_the_currency(shop: Shop) -> None:
    """Stripe's rule of one currency is about one customer."""
    shop.bought(PACKAGE)
    item = a_subscription()["items"]["data"][0] | {"price": {"id": "price_odd"}}
    strange = a_subscription(
        id="sub_link", customer="cus_stranger", metadata={}, items={"data": [item]}
    )
    invoice = an_invoice(
        [a_line(2_700, price="price_odd")],
        subscription="sub_link",
        currency="eur",
        customer="cus_stranger",
    )
    link = by_link(mode="subscription", subscription="sub_link", payment_intent=None)
    shop.work(link, an_event("customer.subscription.created", strange))
    shop.work(an_event("invoice.paid", invoice))
    shop.bought(PRO)
    [line] = shop.stripe.asked[-1].params["line_items"].values()
    assert line["price"] == "price_pro_usd"
