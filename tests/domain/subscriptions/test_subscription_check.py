"""Where Stripe's subscription and ours disagree, and what it costs."""

from typing import Any

import pytest

from domain.catalogue.plans import Catalogue
from domain.subscriptions.comparison import (
    Money,
    OwnSubscription,
    compare,
    state_there,
    unknown_there,
)
from tests.play import CATALOGUE, a_plan
from tests.stripe_objects import NEW, OLD, a_subscription


def an_item(amount: int | None, interval: str, quantity: int | None = 1) -> dict[str, Any]:
    """An item at a price in dollars."""
    recurring = {"interval": interval, "interval_count": 1}
    price = {"id": "price_1", "unit_amount": amount, "currency": "usd", "recurring": recurring}
    return {"id": "si_1", "price": price, "quantity": quantity}


def here(found: dict[str, Any], **changes: Any) -> OwnSubscription:
    """Our row of a subscription."""
    fields: dict[str, Any] = {
        "id": "sub_1",
        "customer_id": "cus_1",
        "owner_id": "user_1",
        "claimed_plan_id": 2,
    }
    return OwnSubscription(**(fields | changes), state=state_there(found))


def costs(*items: dict[str, Any]) -> tuple[Money, ...]:
    """The money of a subscription that is missing here."""
    found = a_subscription(items={"object": "list", "data": list(items)})
    mismatch = compare(found, None, CATALOGUE, {})
    assert mismatch is not None
    return mismatch.money


def test_items_of_one_interval_are_summed() -> None:
    """Times their quantities; another interval is a sum of its own."""
    assert costs(an_item(500, "month", 2), an_item(100, "month"), an_item(9_000, "year")) == (
        Money(1_100, "usd", "month"),
        Money(9_000, "usd", "year"),
    )


def test_a_plan_of_three_months_is_told_by_its_period_on_both_sides() -> None:
    """What is only here costs what the catalogue says, as often as it says."""
    bound = {"price_pro_usd": "usd"}
    quarterly = Catalogue.of([a_plan(2, 10_000, interval_count=3, stripe_price_ids=bound)])
    item = an_item(2_900, "month")
    item["price"]["id"] = "price_pro_usd"
    item["price"]["recurring"]["interval_count"] = 3
    only_here = unknown_there(here(a_subscription(items={"data": [item]})), quarterly)
    assert only_here.money == costs(item) == (Money(2_900, "usd", "3 month"),)


@pytest.mark.parametrize(
    ("known", "told"), [([], ["plan"]), (["price_1"], ["plan"]), (["price_1", "price_2"], [])]
)
def test_a_subscription_to_what_sells_no_tokens_needs_no_plan(
    known: list[str], told: list[str]
) -> None:
    """Where the catalogue says so of each of its prices."""
    items = [an_item(1, "month") | {"id": name} for name in ("si_1", "si_2")]
    items[1]["price"]["id"] = "price_2"
    there = a_subscription(items={"object": "list", "data": items})
    ours = here(there, claimed_plan_id=None)
    found = compare(there, ours, Catalogue.of([], known), {})
    assert [each.what for each in (found.differences if found else ())] == told


def test_an_amount_that_no_number_says_is_unknown() -> None:
    """Tiers, for example; a metered item has no quantity."""
    assert costs(an_item(None, "month"), an_item(100, "month")) == (Money(None, "usd", "month"),)
    assert costs(an_item(100, "month", None)) == (Money(100, "usd", "month"),)


def test_the_same_in_both_shapes_is_no_difference() -> None:
    """Our row may stem from an event of an older API version."""
    ours = here(a_subscription(api_version=OLD))
    assert compare(a_subscription(api_version=NEW), ours, CATALOGUE, {}) is None


def test_the_order_of_items_is_no_difference() -> None:
    """Stripe promises none."""
    items = [an_item(1, "month") | {"id": name} for name in ("si_1", "si_2")]
    items[1]["price"] = {"id": "price_2"}
    one = a_subscription(items={"object": "list", "data": items})
    other = a_subscription(items={"object": "list", "data": items[::-1]})
    assert compare(one, here(other), CATALOGUE, {}) is None


def test_an_object_with_nothing_in_it_is_compared_all_the_same() -> None:
    """Missing fields never crash."""
    mismatch = compare({}, None, CATALOGUE, {})
    assert mismatch is not None
    assert (mismatch.id, mismatch.user_id, mismatch.money) == ("", None, ())
    assert compare({}, here({}, owner_id=None, claimed_plan_id=None), CATALOGUE, {}) is None


def test_one_unknown_at_stripe_costs_what_the_catalogue_says() -> None:
    """In the currency of its price; a price in no catalogue is left out."""
    found = a_subscription()
    found["items"]["data"][0] |= {"price": {"id": "price_pro_eur"}, "quantity": 2}
    assert unknown_there(here(found), CATALOGUE).money == (Money(5_400, "eur", "month"),)
    found["items"]["data"][0]["price"]["id"] = "price_unbound"
    assert unknown_there(here(found), CATALOGUE).money == ()
