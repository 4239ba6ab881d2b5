"""The catalogue when asked: by price, by plan at a time, and what is current."""

from dataclasses import replace

import pytest

from domain.catalogue.plans import Catalogue, Plan
from tests.play import a_plan

OLD_TERMS = a_plan(2, 10_000, stripe_price_ids={"price_old": "usd"}, effective_from=100)
NEW_TERMS = a_plan(2, 12_000, version=2, stripe_price_ids={"price_new": "usd"}, effective_from=200)
OTHER = a_plan(1, 3_000, stripe_price_ids={"price_other": "usd", "price_other_eur": "eur"})
CATALOGUE = Catalogue.of([NEW_TERMS, OTHER, OLD_TERMS])


@pytest.mark.parametrize(
    ("price_id", "expected"),
    [
        ("price_old", OLD_TERMS),
        ("price_new", NEW_TERMS),
        ("price_other_eur", OTHER),
        ("price_unknown", None),
        ("", None),
        (None, None),
    ],
)
def test_a_price_belongs_to_the_version_it_was_sold_under(
    price_id: str | None, expected: Plan | None
) -> None:
    """Every price of every version, and nothing for one that is in no plan."""
    assert CATALOGUE.by_price(price_id) == expected


@pytest.mark.parametrize(
    ("plan_id", "sold", "expected"),
    [
        (2, 99, OLD_TERMS),
        (2, 100, OLD_TERMS),
        (2, 199, OLD_TERMS),
        (2, 200, NEW_TERMS),
        (2, 9_999, NEW_TERMS),
        (1, 0, OTHER),
        (3, 200, None),
        (None, 200, None),
    ],
)
def test_a_plan_at_a_time_is_the_version_in_force_then(
    plan_id: int | None, sold: int, expected: Plan | None
) -> None:
    """A sale before the first version gets the first: the catalogue was loaded late."""
    assert CATALOGUE.by_id(plan_id, sold) == expected


def test_the_current_version_is_the_newest() -> None:
    """Also while it is not in force yet; a plan that is not there has none."""
    assert CATALOGUE.current(2) == NEW_TERMS
    assert CATALOGUE.current(1) == OTHER
    assert CATALOGUE.current(3) is None


def test_a_catalogue_keeps_its_plans_in_one_order() -> None:
    """By plan, then version, however they were given."""
    assert CATALOGUE.plans == (OTHER, OLD_TERMS, NEW_TERMS)
    assert Catalogue.of(reversed(CATALOGUE.plans)) == CATALOGUE
    assert Catalogue().plans == ()


def test_terms_are_what_a_buyer_was_promised() -> None:
    """Type, tokens, interval and trial tokens; a name, a text or a trial's length are none."""
    plan = a_plan(2, 10_000)
    for same in ({"name": "x"}, {"description": "x"}, {"active": False}, {"trial_days": 3}):
        assert replace(plan, **same).terms == plan.terms
    for other in ({"tokens": 1}, {"interval": "year"}, {"type": "token"}, {"trial_tokens": 1}):
        assert replace(plan, **other).terms != plan.terms


def test_a_plan_has_no_price_ids_and_is_in_force_from_the_start_unless_said() -> None:
    """What a file leaves to Stripe and to the clock."""
    plan = a_plan(2, 10_000)
    assert (plan.stripe_price_ids, plan.effective_from) == ({}, 0)
