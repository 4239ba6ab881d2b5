"""Prices with tiers and prices of what is used: made and shown by the offline Stripe, not sold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.offline_stripe import SUCCESS, Offline, offline_stripe
from tests.stripe_types import problems_of

MONTHLY = {"interval": "month"}
TIERS: list[dict[str, Any]] = [
    {"up_to": 10, "unit_amount": 500},
    {"up_to": 100, "unit_amount_decimal": "0.25", "flat_amount": 1000},
    {"up_to": "inf", "unit_amount": 0},
]
TIERED: dict[str, Any] = {
    "currency": "usd",
    "billing_scheme": "tiered",
    "recurring": MONTHLY,
    "tiers": TIERS,
    "tiers_mode": "graduated",
}
OLD: Any = {"stripe_version": "2024-06-20"}


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def made(offline: Offline, options: Any = None, **params: Any) -> stripe.Price:
    """Make a price of a product of its own."""
    whole: Any = {"product_data": {"name": "Seats"}, "expand": ["tiers"], **params}
    return offline.client.v1.prices.create(whole, options)


def meter(offline: Offline, name: str = "calls") -> stripe.billing.Meter:
    """Make a meter."""
    sums: Any = {"formula": "sum"}
    return offline.client.v1.billing.meters.create(
        {"display_name": "Calls", "event_name": name, "default_aggregation": sums}
    )


def metered(offline: Offline) -> stripe.Price:
    """Make a price of what a meter counts."""
    recurring = {**MONTHLY, "usage_type": "metered", "meter": meter(offline).id}
    return made(offline, currency="usd", unit_amount=3, recurring=recurring)


def test_a_price_with_tiers_is_shown(tmp_path: Path) -> None:
    """Its tiers on request only, decimals as they were said; after a restart as well."""
    path = tmp_path / "stripe.sqlite"
    with offline_stripe(path) as offline:
        price = made(offline, **TIERED)
        assert not problems_of(price.to_dict(for_json=True))
        assert (price.billing_scheme, price.tiers_mode) == ("tiered", "graduated")
        assert (price.unit_amount, price.unit_amount_decimal) == (None, None)
        (event,) = offline.objects("price.created")
        assert "tiers" not in event
    with offline_stripe(path) as offline:
        again = offline.client.v1.prices.retrieve(price.id, {"expand": ["tiers"]})
        assert again.tiers is not None
        assert [one.to_dict(for_json=True) for one in again.tiers] == [
            tier(10, unit=500),
            tier(100, unit_decimal="0.25", flat=1000),
            tier(None, unit=0),
        ]
        per_unit = offline.client.v1.prices.retrieve(offline.price(), {"expand": ["tiers"]})
        assert per_unit.tiers is None
        plan = offline.client.v1.plans.retrieve(price.id)
        assert (plan.billing_scheme, plan.amount) == ("tiered", None)


def tier(
    up_to: int | None,
    *,
    unit: int | None = None,
    unit_decimal: str | None = None,
    flat: int | None = None,
) -> dict[str, Any]:
    """A tier as it is told."""
    return {
        "flat_amount": flat,
        "flat_amount_decimal": None if flat is None else str(flat),
        "unit_amount": unit,
        "unit_amount_decimal": unit_decimal or str(unit),
        "up_to": up_to,
    }


def test_a_metered_price_names_its_meter(offline: Offline) -> None:
    """Since basil it must; older versions know use without one, and lists tell the two apart."""
    price = metered(offline)
    assert not problems_of(price.to_dict(for_json=True))
    assert price.recurring is not None
    assert price.recurring.usage_type == "metered"
    named = offline.client.v1.billing.meters.retrieve(str(price.recurring.meter))
    assert named.event_name == "calls"
    unnamed: Any = {"currency": "usd", "unit_amount": 3}
    unnamed["recurring"] = {**MONTHLY, "usage_type": "metered"}
    with pytest.raises(stripe.InvalidRequestError) as error:
        made(offline, **unnamed)
    assert error.value.param == "recurring[meter]"
    older = made(offline, OLD, **unnamed)
    wanted: Any = {"recurring": {"usage_type": "metered"}}
    assert [one.id for one in offline.client.v1.prices.list(wanted).data] == [older.id, price.id]


@pytest.mark.parametrize("kind", ["tiered", "metered"])
def test_nothing_is_sold_at_such_a_price(offline: Offline, kind: str) -> None:
    """Neither on a page nor by a request, and no portal offers it."""
    price = made(offline, **TIERED).id if kind == "tiered" else metered(offline).id
    client, customer = offline.client.v1, offline.customer()
    lines = [{"price": price, "quantity": 1}]
    session: Any = {"mode": "subscription", "line_items": lines, "success_url": SUCCESS}
    contract: Any = {"customer": customer, "items": [{"price": price}]}
    phases: Any = [{"items": [{"price": price}]}]
    plan: Any = {"customer": customer, "start_date": "now", "phases": phases}
    for sell in (
        lambda: client.checkout.sessions.create(session),
        lambda: client.subscriptions.create(contract),
        lambda: client.subscription_schedules.create(plan),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=f"is {kind}") as error:
            sell()
        assert str(error.value.param).endswith("[price]")
    offline.subscription(offline.price(900), customer)
    other = offline.price(1900)
    found = offline.world.portal(offline.portal(customer))
    assert found is not None
    assert [one.price_id for one in found.subscriptions[0].options] == [other]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"tiers": ""}, "tiers"),
        ({"tiers_mode": None}, "tiers_mode"),
        ({"recurring": None}, "recurring"),
        ({"unit_amount": 5}, "unit_amount"),
        ({"billing_scheme": "per_unit"}, "tiers"),
        ({"billing_scheme": None, "tiers": None, "unit_amount": 5}, "tiers_mode"),
        ({"tiers": TIERS[:1]}, "tiers"),
        ({"tiers": [TIERS[2], TIERS[2]]}, "tiers"),
        ({"tiers": [TIERS[1], TIERS[0], TIERS[2]]}, "tiers"),
        ({"tiers": [TIERS[0], TIERS[0], TIERS[2]]}, "tiers"),
        ({"tiers": [{"up_to": "inf"}]}, "tiers[0][unit_amount]"),
        ({"tiers": [{"up_to": "many", "unit_amount": 5}]}, "tiers[0][up_to]"),
        ({"tiers": [{"unit_amount": 5}]}, "tiers[0][up_to]"),
        ({"tiers": [{"up_to": "inf", "unit_amount_decimal": "1,5"}]}, None),
        (
            {"tiers": [{"up_to": "inf", "unit_amount": 5, "unit_amount_decimal": "5"}]},
            "tiers[0][unit_amount]",
        ),
        ({"currency_options": {"eur": {"unit_amount": 5}}}, "currency_options"),
        ({"recurring": {**MONTHLY, "meter": "mtr_x"}}, "recurring[meter]"),
        (
            {"recurring": {**MONTHLY, "usage_type": "metered", "meter": "mtr_x"}},
            "recurring[meter]",
        ),
    ],
)
def test_a_scheme_that_makes_no_sense_is_refused(
    offline: Offline, changes: dict[str, Any], param: str | None
) -> None:
    """By what is wrong with it; nothing is made."""
    params = {name: value for name, value in (TIERED | changes).items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as error:
        made(offline, **params)
    assert error.value.param == (param or "tiers[0][unit_amount_decimal]")
    assert offline.client.v1.prices.list().data == []


def test_a_meter_is_kept_and_counts_nothing(offline: Offline) -> None:
    """Renamed, taken out of use, and back; two active ones never hear the same event."""
    meters, found = offline.client.v1.billing.meters, meter(offline)
    assert not problems_of(found.to_dict(for_json=True))
    with pytest.raises(stripe.InvalidRequestError, match="already an active meter"):
        meter(offline)
    assert meters.update(found.id, {"display_name": "All calls"}).display_name == "All calls"
    assert meters.deactivate(found.id).status == "inactive"
    with pytest.raises(stripe.InvalidRequestError, match="already inactive"):
        meters.deactivate(found.id)
    second = meter(offline)
    active: Any = {"status": "active"}
    assert [one.id for one in meters.list(active).data] == [second.id]
    assert [one.id for one in meters.list().data] == [second.id, found.id]
    meters.deactivate(second.id)
    assert meters.reactivate(found.id).status == "active"
    with pytest.raises(stripe.InvalidRequestError, match="already active"):
        meters.reactivate(found.id)
    kinds = ("created", "updated", "deactivated", "created", "deactivated", "reactivated")
    assert offline.types() == [f"billing.meter.{kind}" for kind in kinds]
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        offline.client.v1.billing.meter_events.create({"event_name": "calls", "payload": {}})
