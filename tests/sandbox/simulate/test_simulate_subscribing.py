"""All stories of odd subscriptions at once: playable, repeatable, and shaped as Stripe's are."""

from collections import Counter
from dataclasses import replace

import pytest

from sandbox.simulate.account import Account
from sandbox.simulate.asking import ASKING
from sandbox.simulate.command import simulate
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.stories import ENABLED
from sandbox.simulate.subscribing import SUBSCRIBING
from sandbox.simulate.versions import BY_CHOICE, EVERY
from tests.contracts_sold import PRO, START, TEAM, a_catalogue
from tests.stripe_types import problems_of

TODAY = 1_800_000_000
# What the typed classes say must be there, and is not: a payer known by an account alone, and a
# preview's id.
UNTYPED = {"subscription.customer is None, not <class 'str'>", "invoice.id is missing"}


def a_season(customers: int, seed: int = 3, run: str = "test") -> tuple[Account, Counter[str]]:
    """Many buyers of every story, at every version."""
    account = Account(seed=seed, run=run, starts_at=START)
    stories = {**SUBSCRIBING, **ASKING}
    cast = play(account, a_catalogue(), EVERY, customers=customers, today=TODAY, stories=stories)
    return account, cast


def test_every_story_is_played_and_stays_in_the_past() -> None:
    """Each has something to sell; nothing happens after today."""
    account, cast = a_season(100)
    assert set(cast) == {*SUBSCRIBING, *ASKING}
    assert len({event.id for event in account.events}) == len(account.events)
    assert max(event.created for event in account.events) < TODAY


def test_the_sample_catalogue_plays_all_but_rises_and_odd_intervals() -> None:
    """What `up` sells is enough for every other story."""
    account = Account(seed=3, run="test", starts_at=START)
    plans = read_file(SAMPLE_PLANS)
    cast = play(account, plans, EVERY, customers=80, today=TODAY, stories=SUBSCRIBING)
    missing = {"price rise, old price", "price rise, inline", "odd interval"}
    assert set(cast) == SUBSCRIBING.keys() - missing


def test_a_rise_needs_other_price_ids_and_a_plan_that_renews() -> None:
    """Who keeps a price keeps its id; a package is bought once, another plan is no rise."""
    risen = replace(PRO, prices={"usd": 3900}, price_ids={"usd": "price_risen"})
    assert risen.risen_from([TEAM, PRO]).former == (PRO,)
    assert PRO.risen_from([PRO]).former == ()
    once = replace(risen, interval=None)
    assert once.risen_from([PRO]).former == ()
    assert risen.risen_from([replace(PRO, price_ids={})]).former == ()


def test_the_tables_share_no_story_with_the_others() -> None:
    """They can be played beside the others, under names of their own."""
    assert not SUBSCRIBING.keys() & ASKING.keys()
    others = ENABLED.keys() - SUBSCRIBING.keys()
    assert not others & ASKING.keys()
    assert all(name in others or name in SUBSCRIBING for name in ENABLED)


def test_the_same_seed_and_run_give_the_same_bytes_and_another_run_other_ids() -> None:
    """Stories of odd subscriptions can be told again too."""
    (first, _), (same, _), (other, _) = a_season(60), a_season(60), a_season(60, run="other")
    assert [event.body for event in first.events] == [event.body for event in same.events]
    assert [event.type for event in first.events] == [event.type for event in other.events]
    assert [each.balance for each in first.expected.users()] == [
        each.balance for each in other.expected.users()
    ]


def test_the_newest_version_draws_what_the_typed_classes_know() -> None:
    """No field too few, none unknown, none of another type."""
    account = Account(seed=5, run="test", starts_at=START)
    stories = {**SUBSCRIBING, **ASKING}
    play(account, a_catalogue(), EVERY[-1:], customers=90, today=TODAY, stories=stories)
    found = Counter(
        problem
        for event in account.events
        for problem in problems_of(event.payload["data"]["object"])
    )
    assert set(found) <= UNTYPED


def test_every_list_of_a_plain_story_is_whole() -> None:
    """Only the stories of cut lists make anybody ask."""
    account = Account(seed=5, run="test", starts_at=START)
    play(account, a_catalogue(), EVERY, customers=90, today=TODAY, stories=SUBSCRIBING)
    for event in account.events:
        drawn = event.payload["data"]["object"]
        lists = [drawn[name] for name in ("lines", "items") if name in drawn]
        assert not any(each["has_more"] for each in lists)
        assert all(len(each["data"]) <= 10 for each in lists)


@pytest.mark.parametrize("name", ["2024-06-20", "2025-03-31.basil", "2026-10-28.endive", "every"])
def test_an_endpoint_version_can_be_chosen_by_its_name(name: str) -> None:
    """The command takes each version, and all of them at random."""
    (option,) = (each for each in simulate.params if each.name == "api_version")
    assert name in option.type.choices  # type: ignore[attr-defined]
    account = Account(seed=5, run="test", starts_at=START)
    plans = read_file(SAMPLE_PLANS)
    play(account, plans, BY_CHOICE[name], customers=20, today=TODAY)
    spoken = {event.payload["api_version"] for event in account.events}
    assert len(spoken) > 1 if name == "every" else spoken == {name}
