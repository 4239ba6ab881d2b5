"""What is unlocked by what is held, at a time: the table of cases, and every instant of change."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from domain.access.access import FeatureAccess, access
from domain.access.holdings import Bought, Holding, Subscribed, bought
from domain.access.unlocking import covering
from domain.catalogue.features import ALLOW, REFUSE, Policies, Policy
from domain.catalogue.plans import Catalogue
from domain.subscriptions.states import Pause
from tests.play import a_plan

NOW, DAY = 1_772_500_000, 86_400
WEEK = Policy(allows=True, grace_seconds=7 * DAY)
PLANS = [
    a_plan(1, 5, name="Basic", features={"api": False, "seats": 1}),
    a_plan(2, 5, name="Pro", features={"api": True, "seats": 5}),
    a_plan(3, 5, name="Big", prices={"eur": 9}, features={"seats": True}),
    a_plan(4, 100, name="Pack", type="token", interval=None, features={"api": True}),
    a_plan(5, 900, name="More", type="token", interval=None, prices={"usd": 700, "eur": 600}),
    a_plan(6, 999, name="Refill", type="token", prices={"usd": 600}),
    a_plan(7, 5, name="Old", active=False, features={"old": True}),
]
CATALOGUE = Catalogue.of(PLANS, policies=Policies(past_due=WEEK))


def held(plan_id: int, status: str = "active", **changes: Any) -> Subscribed:
    """A subscription to a plan."""
    start = Subscribed(f"sub_{plan_id}", plan_id, 1, status, since=NOW - DAY)
    return start._replace(**changes)


def seen(
    *holdings: Holding, feature: str = "seats", at: int = NOW, catalogue: Catalogue = CATALOGUE
) -> FeatureAccess:
    """What is said of one feature."""
    found = access(holdings, catalogue, at).features
    return next(each for each in found if each.name == feature)


def told(feature: FeatureAccess) -> tuple[object, ...]:
    """What decides for an app."""
    return (feature.allowed, feature.limit, feature.why.code, feature.until)


def test_every_feature_of_the_catalogue_is_listed_by_name() -> None:
    """Also those of plans off sale, which somebody may have."""
    assert [each.name for each in access([], CATALOGUE, NOW).features] == ["api", "old", "seats"]
    assert {told(each) for each in access([], CATALOGUE, NOW).features} == {
        (False, 0, "no_plan", None)
    }


STATES = [
    ("active", {}, (True, 5, "active", None)),
    ("trialing", {}, (True, 5, "trialing", None)),
    ("active", {"ends_at": NOW + DAY}, (True, 5, "ending", NOW + DAY)),
    ("active", {"ends_at": NOW}, (False, 0, "ended", None)),
    ("past_due", {}, (True, 5, "past_due", NOW + 6 * DAY)),
    ("past_due", {"since": NOW - 7 * DAY + 1}, (True, 5, "past_due", NOW + 1)),
    ("past_due", {"since": NOW - 7 * DAY}, (False, 0, "past_due", None)),
    ("past_due", {"ends_at": NOW + DAY}, (True, 5, "past_due", NOW + DAY)),
    ("unpaid", {}, (False, 0, "unpaid", None)),
    ("paused", {}, (False, 0, "paused", None)),
    ("incomplete", {}, (False, 0, "incomplete", None)),
    ("incomplete_expired", {}, (False, 0, "ended", None)),
    ("canceled", {}, (False, 0, "ended", None)),
    ("a word of tomorrow", {}, (False, 0, "unknown_status", None)),
    ("active", {"pause": Pause("keep_as_draft", None)}, (True, 5, "active", None)),
    ("active", {"pause": Pause("void", None)}, (False, 0, "paused", None)),
    ("active", {"pause": Pause("void", NOW + DAY)}, (False, 0, "paused", NOW + DAY)),
    ("active", {"pause": Pause("void", NOW)}, (True, 5, "active", None)),
    ("active", {"quantity": 3}, (True, 15, "active", None)),
    ("active", {"quantity": 0}, (False, 0, "not_included", None)),
]


@pytest.mark.parametrize(("status", "changes", "expected"), STATES)
def test_each_state_of_a_subscription(
    status: str, changes: dict[str, Any], expected: tuple[object, ...]
) -> None:
    """Allowed, limit, reason, and when that changes by itself."""
    assert told(seen(held(2, status, **changes))) == expected


@pytest.mark.parametrize("state", ["past_due", "unpaid", "paused"])
@pytest.mark.parametrize(
    ("policy", "now", "in_a_week"),
    [(ALLOW, True, True), (REFUSE, False, False), (WEEK, True, False)],
)
def test_each_policy_for_each_state(
    state: str,
    policy: Policy,
    *,
    now: bool,
    in_a_week: bool,
) -> None:
    """Allowed, refused, or allowed for a while."""
    catalogue = Catalogue.of(PLANS, policies=Policies(**{state: policy}))
    subscription = held(2, state)
    assert seen(subscription, catalogue=catalogue).allowed is now
    assert seen(subscription, at=NOW + 6 * DAY, catalogue=catalogue).allowed is in_a_week


def test_a_grace_for_a_pause_begins_with_the_pause() -> None:
    """However long the subscription has been active."""
    catalogue = Catalogue.of(PLANS, policies=Policies(paused=WEEK))
    paused = held(2, since=0, pause=Pause("void", NOW + 30 * DAY), paused_since=NOW - DAY)
    assert told(seen(paused, catalogue=catalogue)) == (True, 5, "paused", NOW + 6 * DAY)
    later = seen(paused, at=NOW + 6 * DAY, catalogue=catalogue)
    assert told(later) == (False, 0, "paused", NOW + 30 * DAY)


def test_the_best_of_several_counts() -> None:
    """A number above a smaller one, no limit above every number; each feature on its own."""
    assert told(seen(held(1), held(2))) == (True, 5, "active", None)
    assert told(seen(held(1, quantity=7), held(2))) == (True, 7, "active", None)
    assert told(seen(held(2), held(3))) == (True, None, "active", None)
    assert told(seen(held(1), held(2), feature="api")) == (True, None, "active", None)


def test_what_remains_when_the_best_ends() -> None:
    """`until` is when the answer changes, not when anything at all does."""
    ending = held(2, ends_at=NOW + DAY)
    assert told(seen(ending, held(1))) == (True, 5, "ending", NOW + DAY)
    assert told(seen(ending, held(1), at=NOW + DAY)) == (True, 1, "active", None)
    also_ending = held(1, ends_at=NOW + DAY, source_id="sub_9")
    assert told(seen(also_ending, held(2))) == (True, 5, "active", None)
    assert access([ending, held(1)], CATALOGUE, NOW).until == NOW + DAY


def test_why_names_the_plan_and_what_holds_it() -> None:
    """In words too; of what counts, the surest reason."""
    feature = seen(held(2, "past_due", source_id="sub_a"), held(2, source_id="sub_b"))
    assert (feature.plan_id, feature.source_id) == (2, "sub_b")
    assert feature.why.text == "Pro is paid."
    assert seen(held(2, "unpaid")).why.text == "A payment for Pro was given up."
    assert told(seen(held(1), feature="api"))[2] == "not_included"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("paid", (True, None, "bought", None)),
        ("partially_refunded", (True, None, "bought", None)),
        ("refunded", (False, 0, "taken_back", None)),
        ("disputed", (False, 0, "taken_back", None)),
    ],
)
def test_a_package_counts_until_its_money_went_back(
    status: str, expected: tuple[object, ...]
) -> None:
    """A part that went back takes nothing away: a feature has no parts."""
    assert told(seen(*bought("cs_1", {4: 1}, status), feature="api")) == expected


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_what_is_not_paid_is_not_held(status: str) -> None:
    """It does not even give a reason."""
    assert bought("cs_1", {4: 1}, status) == []


def test_packages_multiply_numbers_too() -> None:
    """As a subscription's quantity does; the best of several payments counts."""
    catalogue = Catalogue.of([a_plan(4, 0, type="token", interval=None, features={"seats": 2})])
    three, one = Bought("cs_1", 4, 3, "paid"), Bought("cs_2", 4, 1, "paid")
    assert told(seen(three, one, catalogue=catalogue)) == (True, 6, "bought", None)


def test_the_newest_version_of_a_plan_decides_for_all() -> None:
    """Whatever was bought, and whenever."""
    before = a_plan(2, 5, features={"seats": 5, "gone": True})
    after = replace(before, version=2, tokens=6, features={"seats": 6, "new": True})
    found = access([held(2)], Catalogue.of([before, after]), NOW)
    assert found.limits == {"new": None, "seats": 6}


def unlocked_by(feature: str, *holdings: Holding) -> Sequence[tuple[object, ...]]:
    """The plans that unlock a feature, with the way to buy each."""
    found = seen(*holdings, feature=feature).unlocked_by
    return [(each.plan_id, each.limit, each.checkout) for each in found]


def test_what_unlocks_a_feature_comes_with_the_body_for_the_checkout_call() -> None:
    """Plans off sale cannot be bought, and who is allowed needs nothing."""
    assert unlocked_by("api") == [
        (2, None, {"plan_type": "full", "plan_id": 2}),
        (4, None, {"plan_type": "token", "plan_id": 4}),
    ]
    assert [plan_id for plan_id, *_ in unlocked_by("seats")] == [1, 2, 3]
    assert unlocked_by("old") == unlocked_by("api", held(2)) == []


def test_who_has_a_full_plan_changes_it_in_the_portal() -> None:
    """Checkout refuses a second one, so its body would be of no use."""
    refused = [(2, None, None), (4, None, {"plan_type": "token", "plan_id": 4})]
    assert unlocked_by("api", held(1)) == unlocked_by("api", held(1, "unpaid")) == refused
    assert unlocked_by("api", held(1, "canceled")) == unlocked_by("api")


def test_packages_cover_what_is_missing_cheapest_first() -> None:
    """In the buyer's currency alone, of equals the first by id; plans are no packages."""
    assert [each.plan_id for each in covering(100, CATALOGUE, "usd")] == [6, 5, 4]
    assert [each.plan_id for each in covering(101, CATALOGUE, "usd")] == [6, 5]
    [package] = covering(900, CATALOGUE, "eur")
    assert (package.amount, package.checkout) == (
        600,
        {"plan_type": "token", "plan_id": 5, "currency": "eur"},
    )
    assert covering(1000, CATALOGUE, "usd") == ()
