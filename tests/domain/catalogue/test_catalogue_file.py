"""A catalogue file is read whole, or refused with every problem in it."""

import tomllib
from typing import Any

import pytest

from domain.catalogue.file import read_catalogue
from domain.catalogue.plans import Plan
from domain.errors import CatalogueError

CONTRACT = """
[[plans]]
id = 1
type = "full"
name = "Pro monthly"
description = "Everything"
tokens = 10000
interval = "month"
prices = { usd = 2900, eur = 2700 }
stripe_price_ids = { usd = "price_1" }
trial_days = 7
trial_tokens = 500
active = true

[[plans]]
id = 2
type = "token"
name = "Pack"
tokens = 1000
prices = { usd = 0 }
"""
SMALLEST: dict[str, Any] = {
    "id": 3,
    "type": "full",
    "name": "Yearly",
    "tokens": 5,
    "interval": "year",
    "prices": {"usd": 1},
}


def problems_of(*tables: Any) -> list[str]:
    """What is wrong with a file of these `[[plans]]` tables, one problem a line."""
    with pytest.raises(CatalogueError) as caught:
        read_catalogue({"plans": list(tables)})
    return str(caught.value).splitlines()


def test_the_contracts_example_is_read_with_its_defaults() -> None:
    """Every key, and what a key left out means."""
    pro, pack = read_catalogue(tomllib.loads(CONTRACT)).plans
    assert pro == Plan(
        id=1,
        version=1,
        type="full",
        name="Pro monthly",
        description="Everything",
        tokens=10_000,
        interval="month",
        trial_days=7,
        trial_tokens=500,
        active=True,
        prices={"usd": 2_900, "eur": 2_700},
        stripe_price_ids={"price_1": "usd"},
    )
    assert pack == Plan(
        id=2,
        version=1,
        type="token",
        name="Pack",
        description="",
        tokens=1_000,
        interval=None,
        trial_days=0,
        trial_tokens=0,
        active=True,
        prices={"usd": 0},
    )


@pytest.mark.parametrize("document", [{}, {"plans": []}, {"plans": {"id": 1}}, {"plans": "x"}])
def test_a_file_without_plans_is_refused(document: dict[str, Any]) -> None:
    """An empty catalogue is a mistake, not a wish to sell nothing."""
    with pytest.raises(CatalogueError, match=r"^The file has no \[\[plans\]\] tables\.$"):
        read_catalogue(document)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"id": 2**31}, "plan 2147483648: id must be a whole number from 0 to 2147483647."),
        ({"id": "x"}, "plan x: id must be a whole number from 0 to 2147483647."),
        ({"type": "half"}, "plan 3: type must be one of: full, token."),
        ({"interval": "hour"}, "plan 3: interval must be one of: day, week, month, year."),
        ({"interval": ["month"]}, "plan 3: interval must be one of: day, week, month, year."),
        ({"interval": None}, "plan 3: interval must be day, week, month or year for a full plan."),
        ({"interval_count": 4}, "plan 3: interval_count must be a whole number from 1 to 3."),
        ({"interval_count": 0}, "plan 3: interval_count must be a whole number from 1 to 3."),
        ({"interval_count": True}, "plan 3: interval_count must be a whole number from 1 to 3."),
        ({"interval_count": "3"}, "plan 3: interval_count must be a whole number from 1 to 3."),
        (
            {"type": "token", "interval": None, "interval_count": 1},
            "plan 3: interval_count needs an interval.",
        ),
        ({"name": ""}, "plan 3: name must be a text."),
        ({"name": 5}, "plan 3: name must be a text."),
        ({"name": "a\0b"}, "plan 3: name must be a text."),
        ({"description": 5}, "plan 3: description must be a text."),
        ({"tokens": -1}, "plan 3: tokens must be a whole number from 0 to 1000000000000000."),
        ({"tokens": True}, "plan 3: tokens must be a whole number from 0 to 1000000000000000."),
        ({"tokens": 1.5}, "plan 3: tokens must be a whole number from 0 to 1000000000000000."),
        (
            {"tokens": 10**15 + 1},
            "plan 3: tokens must be a whole number from 0 to 1000000000000000.",
        ),
        ({"trial_days": 731}, "plan 3: trial_days must be a whole number from 0 to 730."),
        (
            {"trial_tokens": "5"},
            "plan 3: trial_tokens must be a whole number from 0 to 1000000000000000.",
        ),
        ({"active": 1}, "plan 3: active must be true or false."),
        ({"prices": {}}, "plan 3: prices must name at least one currency."),
        ({"prices": {"usd": -1}}, "plan 3: prices has a value for usd that is not allowed."),
        ({"prices": {"usd": True}}, "plan 3: prices has a value for usd that is not allowed."),
        ({"prices": {"usd": "29"}}, "plan 3: prices has a value for usd that is not allowed."),
        (
            {"prices": {"usd": 10**15 + 1}},
            "plan 3: prices has a value for usd that is not allowed.",
        ),
        (
            {"prices": {"USD": 1}},
            "plan 3: prices has 'USD', which is no lower-case currency code.",
        ),
        (
            {"prices": {"usdt": 1}},
            "plan 3: prices has 'usdt', which is no lower-case currency code.",
        ),
        (
            {"stripe_price_ids": {"usd": ["p"]}},
            "plan 3: stripe_price_ids has a value for usd that is not allowed.",
        ),
        (
            {"stripe_price_ids": {"usd": ""}},
            "plan 3: stripe_price_ids has a value for usd that is not allowed.",
        ),
        (
            {"stripe_price_ids": {"usd": "a\0"}},
            "plan 3: stripe_price_ids has a value for usd that is not allowed.",
        ),
        (
            {"stripe_price_ids": {"eur": "p"}},
            "plan 3: stripe_price_ids has eur, for which prices has no amount.",
        ),
        (
            {"stripe_price_ids": "p"},
            "plan 3: stripe_price_ids must be a table of currency = value.",
        ),
        (
            {"prices": {"usd": 1, "eur": 1}, "stripe_price_ids": {"usd": "p", "eur": "p"}},
            "plan 3: stripe_price_ids has p twice; each currency needs its own.",
        ),
        ({"price": 5}, "plan 3: price is not known."),
        (
            {"prices_without_tokens": ["p"]},
            "plan 3: prices_without_tokens belongs above the first [[plans]].",
        ),
        ({"tokens_every": "month"}, "plan 3: tokens_every is not known."),
        ({"expires": "never"}, "plan 3: expires is not known."),
        ({"rollover": {"max": 1}}, "plan 3: rollover is not known."),
    ],
)
def test_one_mistake_is_one_problem_that_names_plan_and_key(
    changes: dict[str, Any], problem: str
) -> None:
    """And says what would be right."""
    assert problems_of(SMALLEST | changes) == [problem]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 0},
        {"id": 2**31 - 1},
        {"tokens": 10**15},
        {"tokens": 0},
        {"trial_days": 730},
        {"prices": {"usd": 10**15}},
        {"description": ""},
        {"active": False},
    ],
)
def test_the_limits_themselves_are_allowed(changes: dict[str, Any]) -> None:
    """Up to and including."""
    (plan,) = read_catalogue({"plans": [SMALLEST | changes]}).plans
    (key,) = changes
    assert getattr(plan, key) == changes[key]


@pytest.mark.parametrize(
    ("interval", "most"), [("day", 1_095), ("week", 156), ("month", 36), ("year", 3)]
)
def test_a_period_lasts_up_to_three_years(interval: str, most: int) -> None:
    """Stripe allows no longer one."""
    longest = SMALLEST | {"interval": interval, "interval_count": most}
    (plan,) = read_catalogue({"plans": [longest]}).plans
    assert (plan.interval, plan.interval_count) == (interval, most)
    assert problems_of(longest | {"interval_count": most + 1}) == [
        f"plan 3: interval_count must be a whole number from 1 to {most}."
    ]


def test_every_problem_of_every_plan_is_told_at_once() -> None:
    """Nobody should have to load a file ten times to get it right."""
    whole = "must be a whole number from 0 to"
    assert problems_of({"name": 1, "zeal": 1, "aim": 2}, "no table", SMALLEST, SMALLEST) == [
        "plan number 1: aim is not known.",
        "plan number 1: zeal is not known.",
        "plan number 1: type must be one of: full, token.",
        "plan number 1: prices must name at least one currency.",
        f"plan number 1: id {whole} 2147483647.",
        "plan number 1: name must be a text.",
        f"plan number 1: tokens {whole} 1000000000000000.",
        "plan number 2: type must be one of: full, token.",
        "plan number 2: prices must name at least one currency.",
        f"plan number 2: id {whole} 2147483647.",
        "plan number 2: name must be a text.",
        f"plan number 2: tokens {whole} 1000000000000000.",
        "plan 3: id is used twice.",
    ]


def test_prices_without_tokens_stand_at_the_top_of_the_file() -> None:
    """Setup fees and the like; none by default."""
    found = read_catalogue(tomllib.loads(f'prices_without_tokens = ["fee", "extra"]{CONTRACT}'))
    assert found.prices_without_tokens == {"fee", "extra"}
    assert read_catalogue(tomllib.loads(CONTRACT)).prices_without_tokens == frozenset()


@pytest.mark.parametrize("value", ["fee", {"usd": "fee"}, ["fee", 1], [""], ["a\0b"], None, True])
def test_prices_without_tokens_are_price_ids(value: Any) -> None:
    """Anything else is one problem, beside those of the plans."""
    with pytest.raises(CatalogueError) as caught:
        read_catalogue({"plans": [SMALLEST | {"tokens": -1}], "prices_without_tokens": value})
    assert len(str(caught.value).splitlines()) == 2
    told = "The file: prices_without_tokens must be a list of Stripe price ids."
    assert told in str(caught.value).splitlines()


def test_a_price_without_tokens_is_that_of_no_plan() -> None:
    """It could not say whether tokens were sold."""
    plan = SMALLEST | {"stripe_price_ids": {"usd": "p"}}
    with pytest.raises(CatalogueError) as caught:
        read_catalogue({"plans": [plan], "prices_without_tokens": ["p"]})
    told = "plan 3: stripe_price_ids has p, which prices_without_tokens has too."
    assert str(caught.value) == told


@pytest.mark.parametrize("document", [{"plans": [SMALLEST]}, {}])
def test_a_key_that_the_file_does_not_have_is_refused(document: dict[str, Any]) -> None:
    """A misspelt one would do nothing, silently."""
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(document | {"price_without_tokens": ["p"], "plan": []})
    known = "is not known; at its top there are plans, policies, prices_without_tokens."
    assert str(caught.value).splitlines()[:2] == [
        f"The file: plan {known}",
        f"The file: price_without_tokens {known}",
    ]


def test_a_price_of_two_plans_is_refused() -> None:
    """It could not say which of them was sold."""
    one = SMALLEST | {"stripe_price_ids": {"usd": "p"}}
    other = one | {"id": 4}
    expected = ["plan 4: stripe_price_ids has p, which plan 3 has too."]
    assert problems_of(one, other) == expected


def test_mistakes_of_one_kind_in_two_plans_are_no_clash() -> None:
    """Two price ids that cannot be read are not one price id."""
    bad = {"stripe_price_ids": {"usd": 1}}
    lines = problems_of(SMALLEST | bad, SMALLEST | bad | {"id": 4})
    assert [line.split(":")[0] for line in lines] == ["plan 3", "plan 4"]
