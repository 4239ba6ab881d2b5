"""The tables of one-time and money-back lives: complete, repeatable, and what the SDK types."""

from collections import Counter

import pytest

from sandbox.simulate.account import Account
from sandbox.simulate.engine import Event
from sandbox.simulate.expected import ExpectedAccount, NothingExpected
from sandbox.simulate.money import ASKING, MONEY
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.stories import ENABLED
from sandbox.simulate.versions import NEW, OLD, ApiVersion
from tests.stripe_types import problems_of

START, TODAY = 1_750_000_000, 1_800_000_000
EVERY = {**MONEY, **ASKING}
PLANS = read_file(SAMPLE_PLANS)


def played(
    name: str, seed: int = 3, run: str = "test", versions: tuple[ApiVersion, ...] = OLD + NEW
) -> Account:
    """Three buyers of one life."""
    account = Account(seed=seed, run=run, starts_at=START)
    play(account, PLANS, versions, customers=3, today=TODAY, stories={name: EVERY[name]})
    return account


def whole(event: Event) -> list[str]:
    """What is wrong with an event and its object; a preview has no id."""
    found = [*problems_of(event.payload), *problems_of(event.payload["data"]["object"])]
    return [line for line in found if "upcoming" not in event.type or "invoice.id" not in line]


def test_no_life_has_the_name_of_another() -> None:
    """Tables are merged by name, so a name counts once."""
    assert not MONEY.keys() & ASKING.keys()
    assert not (MONEY.keys() | ASKING.keys()) & (ENABLED.keys() - MONEY.keys())


@pytest.mark.parametrize("name", EVERY)
def test_a_life_repeats_by_its_seed_and_ends_before_today(name: str) -> None:
    """The same bytes for the same seed and run, the same story under other ids for another run."""
    first, same, other = played(name), played(name), played(name, run="other")
    assert [event.body for event in first.events] == [event.body for event in same.events]
    assert [event.type for event in first.events] == [event.type for event in other.events]
    assert first.expected.users() == same.expected.users()
    assert max(event.created for event in first.events) < TODAY
    assert len({event.id for event in first.events}) == len(first.events)


@pytest.mark.parametrize("name", [name for name in EVERY if "nothing links it" not in name])
def test_every_object_of_the_newest_version_is_what_the_sdk_types(name: str) -> None:
    """Sessions, invoices, credit notes, disputes and their envelopes."""
    account = played(name, versions=NEW[-1:])
    assert account.events
    assert not [line for event in account.events for line in whole(event)]


@pytest.mark.parametrize("version", OLD + NEW)
def test_every_life_can_be_played_at_every_version(version: ApiVersion) -> None:
    """With the sample catalogue, in each of its currencies."""
    account = Account(seed=5, run="test", starts_at=START)
    cast = play(account, PLANS, [version], customers=200, today=TODAY, stories=EVERY)
    assert set(cast) == set(EVERY)
    assert {each.currency for each in account.customers.values()} == {"usd", "eur", "jpy"}


def test_only_the_asking_lives_end_otherwise_once_stripe_is_asked() -> None:
    """What MONEY promises needs no key; every life of ASKING needs one."""
    for name, table in [(name, MONEY) for name in MONEY] + [(name, ASKING) for name in ASKING]:
        account = Account(seed=11, run="test", starts_at=START)
        play(account, PLANS, NEW, customers=4, today=TODAY, stories={name: table[name]})
        same = account.expected.users() == account.expected.users(asking=True)
        assert same is (table is MONEY), name


def test_money_back_is_told_before_what_was_paid() -> None:
    """In one second a refund comes first, so that order of arrival is against it."""
    for name, kind in (
        ("refund before all else", "refund"),
        ("dispute before all else", "dispute"),
    ):
        account = Account(seed=2, run="test", starts_at=START)
        play(account, PLANS, NEW, customers=1, today=TODAY, stories={name: EVERY[name]})
        first = account.events[0]
        assert kind in first.type
        paid = next(e for e in account.events if e.type == "payment_intent.succeeded")
        assert first.created == paid.created


def test_the_lives_bring_the_types_that_no_other_brings() -> None:
    """Credit notes, captures, foreign envelopes."""
    account = Account(seed=7, run="test", starts_at=START)
    play(account, PLANS, OLD + NEW, customers=200, today=TODAY, stories=MONEY)
    sent = Counter(event.type for event in account.events)
    assert {f"credit_note.{what}" for what in ("created", "updated", "voided")} <= sent.keys()
    assert "payment_intent.amount_capturable_updated" in sent
    payloads = [event.payload for event in account.events]
    assert any("account" in each for each in payloads)
    assert any("context" in each for each in payloads)


def test_an_account_without_books_notes_nothing_of_any_life() -> None:
    """Whatever an expected account notes, one that expects nothing takes too."""
    told = {name for name in vars(ExpectedAccount) if not name.startswith("_")} - {"met", "users"}
    assert told <= vars(NothingExpected).keys()
