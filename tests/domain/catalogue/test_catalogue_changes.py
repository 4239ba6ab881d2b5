"""Loading a catalogue again: what changes in place, what makes a new version, what stays bound."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from domain.catalogue.changes import changes_between, tokenless_between
from domain.catalogue.plans import Catalogue, CatalogueChange, Plan
from tests.play import a_plan


def loaded(catalogue: Catalogue, wanted: Iterable[Plan], now: int = 0) -> Catalogue:
    """The catalogue after a load, as the tables keep it."""
    plans = {(plan.id, plan.version): plan for plan in catalogue.plans}
    for change in changes_between(catalogue, wanted):
        key = (change.after.id, change.after.version)
        known = plans.get(key)
        bound = {**(known.stripe_price_ids if known else {}), **change.bound_price_ids}
        start = known.effective_from if known else now
        plans[key] = replace(change.after, stripe_price_ids=bound, effective_from=start)
    return Catalogue.of(plans.values())


FILE = [
    a_plan(
        1,
        10_000,
        name="Pro monthly",
        description="Everything",
        trial_days=7,
        trial_tokens=500,
        stripe_price_ids={"price_1": "usd"},
    ),
    a_plan(2, 1_000, type="token", interval=None, prices={"usd": 0}),
]
LOADED = loaded(Catalogue(), FILE)


def changed(**changes: Any) -> CatalogueChange | None:
    """What a load changes when plan 1 of the file was edited so."""
    found = changes_between(LOADED, [replace(FILE[0], **changes), FILE[1]])
    assert len(found) <= 1
    return found[0] if found else None


def test_a_first_load_makes_every_plan_and_binds_its_prices() -> None:
    """Version one of each."""
    pro, pack = changes_between(Catalogue(), FILE)
    assert pro == CatalogueChange(None, FILE[0], ("new plan",), {"price_1": "usd"}, True)  # noqa: FBT003 - a row.
    assert (pack.bound_price_ids, pack.is_new_version) == ({}, True)


def test_a_second_load_changes_nothing() -> None:
    """Idempotent, also where prices were bound by Stripe's sync since."""
    assert changes_between(LOADED, FILE) == []
    synced = replace(LOADED.plans[1], stripe_price_ids={"price_synced": "usd"})
    assert changes_between(Catalogue.of([LOADED.plans[0], synced]), FILE) == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"name": "Pro"}, "name: Pro monthly -> Pro"),
        ({"description": "All"}, "description: Everything -> All"),
        ({"trial_days": 14}, "trial_days: 7 -> 14"),
        ({"active": False}, "active: yes -> no"),
        ({"prices": {"usd": 2_900, "eur": 2_700, "gbp": 2_500}}, "price gbp: none -> 2500"),
        (
            {"stripe_price_ids": {"price_1": "usd", "price_2": "eur"}},
            "stripe price eur: none -> price_2",
        ),
    ],
)
def test_what_is_no_term_changes_in_place(changes: dict[str, Any], difference: str) -> None:
    """The version stays, and with it what was sold."""
    change = changed(**changes)
    assert change is not None
    assert (change.is_new_version, change.after.version) == (False, 1)
    assert change.differences == (difference,)
    assert change.before == LOADED.plans[0]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"type": "token"}, "type: full -> token"),
        ({"tokens": 9}, "tokens: 10000 -> 9"),
        ({"interval": "year"}, "interval: month -> year"),
        ({"interval_count": 3}, "interval_count: 1 -> 3"),
        ({"trial_tokens": 0}, "trial_tokens: 500 -> 0"),
        ({"prices": {"usd": 3_000, "eur": 2_700}}, "price usd: 2900 -> 3000"),
    ],
)
def test_changed_terms_make_a_new_version_and_the_old_price_stays_with_the_old(
    changes: dict[str, Any], difference: str
) -> None:
    """Who pays the old price gets what was promised for it."""
    change = changed(**changes)
    assert change is not None
    assert (change.is_new_version, change.after.version, change.bound_price_ids) == (True, 2, {})
    assert change.differences == (
        difference,
        (
            "price_1 stays with plan 1 version 1, whose terms it was sold at; give the new terms"
            " a new price"
        ),
    )


def test_a_new_version_is_sold_under_its_new_price() -> None:
    """The next load knows both and changes nothing."""
    wanted = [replace(FILE[0], tokens=9, stripe_price_ids={"price_9": "usd"}), FILE[1]]
    after = loaded(LOADED, wanted, now=50)
    old, new = after.by_price("price_1"), after.by_price("price_9")
    assert old is not None
    assert new is not None
    assert (old.version, old.tokens, new.version, new.tokens) == (1, 10_000, 2, 9)
    assert (old.effective_from, new.effective_from) == (0, 50)
    assert changes_between(after, wanted) == []


def test_a_price_left_out_of_the_file_stays_for_what_was_sold_at_it() -> None:
    """Same terms, fewer currencies: nothing is taken away from a running subscription."""
    change = changed(prices={"usd": 2_900}, name="Pro")
    assert change is not None
    assert change.after.prices == {"usd": 2_900, "eur": 2_700}


def test_a_currency_left_out_of_the_file_goes_off_sale_once_and_comes_back() -> None:
    """It is told, and the terms stay what they were."""
    change = changed(prices={"usd": 2_900})
    assert change is not None
    assert change.differences == ("price eur: 2700 -> off sale",)
    assert (change.is_new_version, change.after.sale_prices) == (False, {"usd": 2_900})
    wanted = [replace(FILE[0], prices={"usd": 2_900}), FILE[1]]
    without = loaded(LOADED, wanted)
    assert changes_between(without, wanted) == []
    (back,) = changes_between(without, FILE)
    assert back.differences == ("price eur: off sale -> 2700",)
    assert (back.is_new_version, back.after.sale_prices) == (False, {"usd": 2_900, "eur": 2_700})


def test_a_currency_that_comes_back_at_another_price_makes_a_new_version() -> None:
    """What was sold in it before keeps its worth."""
    without = loaded(LOADED, [replace(FILE[0], prices={"usd": 2_900}), FILE[1]])
    dearer = replace(FILE[0], prices={"usd": 2_900, "eur": 9_900}, stripe_price_ids={})
    (back,) = changes_between(without, [dearer, FILE[1]])
    assert back.differences == ("price eur: off sale -> 9900",)
    assert back.is_new_version


def test_new_terms_in_fewer_currencies_are_told_as_well() -> None:
    """The old version keeps the amount; the new one was never sold in it."""
    change = changed(prices={"usd": 2_900}, tokens=9, stripe_price_ids={})
    assert change is not None
    assert change.differences == ("tokens: 10000 -> 9", "price eur: 2700 -> off sale")
    assert change.after.prices == {"usd": 2_900}
    after = loaded(LOADED, [change.after, FILE[1]])
    assert after.plans[0].prices == {"usd": 2_900, "eur": 2_700}


def test_a_plan_left_out_of_the_file_becomes_inactive_once() -> None:
    """Its payments keep their worth; coming back makes it active again."""
    (change,) = changes_between(LOADED, FILE[1:])
    assert change == CatalogueChange(
        LOADED.plans[0],
        replace(LOADED.plans[0], active=False),
        ("off sale: no longer in the file",),
    )
    assert not change.is_new_version
    without = loaded(LOADED, FILE[1:])
    assert without.by_price("price_1") is not None
    assert changes_between(without, FILE[1:]) == []
    (back,) = changes_between(without, FILE)
    assert back.differences == ("active: no -> yes",)


def test_only_the_newest_version_of_a_plan_left_out_becomes_inactive() -> None:
    """The older ones are history."""
    two = loaded(LOADED, [replace(FILE[0], tokens=9), FILE[1]])
    (change,) = changes_between(two, FILE[1:])
    assert change.after.version == 2


def test_prices_without_tokens_come_and_go_and_are_told() -> None:
    """One that a plan was sold at stays with the plan."""
    known = Catalogue.of(LOADED.plans, ["fee", "old"])
    assert tokenless_between(known, {"fee", "old"}).price_ids == frozenset()
    change = tokenless_between(known, {"fee", "new", "price_1"})
    assert (set(change.added), set(change.removed)) == ({"new", "price_1"}, {"old"})
    assert change.price_ids == {"new", "price_1", "old"}
    assert change.differences == (
        "new: sells no tokens",
        "old: no longer among the prices without tokens",
        ("price_1: written down, but it stays with plan 1 version 1, whose terms it was sold at"),
    )


def test_a_price_without_tokens_is_known_to_sell_none() -> None:
    """Others are not, nor one that was bound to a plan before."""
    catalogue = Catalogue.of(LOADED.plans, ["fee", "price_1"])
    asked = ("fee", "price_1", "other", None)
    assert [catalogue.sells_no_tokens(price_id) for price_id in asked] == [True, *[False] * 3]
