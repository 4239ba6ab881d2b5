"""Features and policies in a catalogue file: what is read, and what is refused in words."""

from typing import Any

import pytest

from domain.catalogue.changes import changes_between
from domain.catalogue.features import ALLOW, REFUSE, Policies, Policy
from domain.catalogue.file import CatalogueFile, read_catalogue
from domain.catalogue.plans import Catalogue
from domain.errors import CatalogueError
from tests.play import a_plan

PLAN: dict[str, Any] = {
    "id": 1,
    "type": "full",
    "name": "Pro",
    "tokens": 5,
    "interval": "month",
    "prices": {"usd": 1},
}


def read(features: object = None, **top: object) -> CatalogueFile:
    """A file with one plan of these features."""
    plan = PLAN if features is None else PLAN | {"features": features}
    return read_catalogue({"plans": [plan], **top})


def refused(features: object = None, **top: object) -> str:
    """What is said of a file that is refused."""
    with pytest.raises(CatalogueError) as caught:
        read(features, **top)
    return str(caught.value)


def test_features_are_flags_and_numbers() -> None:
    """As the contract writes them; none where a plan names none."""
    [plan] = read({"api": True, "seats": 5, "requests_per_day": 1000}).plans
    assert plan.features == {"api": True, "seats": 5, "requests_per_day": 1000}
    assert read().plans[0].features == {}


@pytest.mark.parametrize(
    "features",
    [["api"], "api", {"api": "yes"}, {"api": -1}, {"api": 1.5}, {"seats": 10**9 + 1}, {"": True}],
)
def test_other_features_are_refused_by_name(features: object) -> None:
    """One line, with the plan in it."""
    assert refused(features).startswith("plan 1: features ")
    assert len(refused(features).splitlines()) == 1


def test_every_problem_of_features_and_policies_is_named_at_once() -> None:
    """And beside those of the plan."""
    told = refused(
        {"a b": True, "seats": "5"}, policies={"past_due": {"grace": "1 week"}, "late": "allow"}
    ).splitlines()
    assert len(told) == 4
    assert "has 'a b'" in told[0]
    assert told[1] == (
        "plan 1: features has seats, which must be true, false or a number to 1000000000."
    )
    assert told[2] == "The file: policies has late; there are past_due, unpaid, paused."
    assert told[3].startswith('The file: policies has past_due, which must be "allow", "refuse"')


def test_policies_are_read_and_what_is_left_out_is_as_is_active_says() -> None:
    """Past due counts as active, unpaid and paused do not."""
    assert read().policies == Policies(past_due=ALLOW, unpaid=REFUSE, paused=REFUSE)
    given = {"past_due": {"grace": "7d"}, "unpaid": {"grace": "36h"}, "paused": "allow"}
    week, day_and_a_half = Policy(True, 604_800), Policy(True, 129_600)  # noqa: FBT003 - rows.
    assert read(policies=given).policies == Policies(week, day_and_a_half, ALLOW)


@pytest.mark.parametrize(
    "policy", [True, 7, "7d", {"grace": 7}, {"grace": "0d"}, {"grace": "7d", "more": 1}, {}]
)
def test_other_policies_are_refused(policy: object) -> None:
    """Nothing is guessed."""
    assert "has unpaid, which must be" in refused(policies={"unpaid": policy})


def test_policies_below_a_plan_are_told_where_they_belong() -> None:
    """In TOML what follows a plan is the plan's."""
    with pytest.raises(CatalogueError, match=r"policies belongs above the first \[\[plans\]\]"):
        read_catalogue({"plans": [PLAN | {"policies": {}}]})


def test_changed_features_are_told_and_make_no_version() -> None:
    """A number that becomes a flag is a change too, although Python calls 1 true."""
    before = a_plan(1, 5, features={"api": True, "seats": 1, "old": 3})
    after = a_plan(1, 5, features={"api": True, "seats": True, "new": False})
    [change] = changes_between(Catalogue.of([before]), [after])
    assert change.differences == (
        "feature new: none -> no",
        "feature old: 3 -> none",
        "feature seats: 1 -> yes",
    )
    assert (change.after.version, change.is_new_version) == (1, False)


def test_a_plan_out_of_the_file_keeps_its_features() -> None:
    """What was sold keeps its worth."""
    sold = a_plan(1, 5, features={"api": True})
    [change] = changes_between(Catalogue.of([sold]), [])
    assert (change.after.active, change.after.features) == (False, {"api": True})
