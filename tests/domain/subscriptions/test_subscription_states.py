"""What a report of a subscription says, and how old values are matched to a state."""

from typing import Any

import pytest

from domain.subscriptions.states import (
    ACTIVE_STATUSES,
    FINAL_STATUSES,
    STATUSES,
    Item,
    Version,
    state_of,
)
from domain.subscriptions.versions import Subscription, matches

UPDATED = "customer.subscription.updated"


def a_version(number: int = 1, at: int = 10, **changes: Any) -> Version:
    """A report numbered within its second."""
    return Version(
        created=at,
        event_id=f"evt_{number}",
        event_type=changes.pop("event_type", UPDATED),
        previous=changes.pop("previous", {}),
        object={"status": "active"} | changes,
    )


@pytest.mark.parametrize(
    ("previous", "state", "expected"),
    [
        ({}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": None}, {}, True),
        ({"a": None}, {"a": 1}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False),
        ({"a": {"b": None}}, {"a": None}, True),
        ({"a": {"b": None, "c": 1}}, {"a": None}, False),
        ({"a": {}}, {"a": None}, True),
        ({"a": {"b": 1}}, {"a": None}, False),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
    ],
)
def test_old_values_match_a_state_that_has_them(
    previous: object, state: object, *, expected: bool
) -> None:
    """Objects by the keys given, lists as a whole; null and absent are the same."""
    assert matches(previous, state) is expected


def newest(*versions: Version) -> tuple[str | None, bool]:
    """The event that stands, and whether it was a toss, whatever order they came in."""
    answers = set()
    for order in (versions, versions[::-1]):
        joined = Subscription("sub")
        for version in order:
            joined = joined.join(Subscription("sub", versions=(version,)))
        standing, tossed = joined.newest()
        answers.add((standing.event_id if standing else None, tossed))
    (answer,) = answers
    return answer


def test_nothing_reported_is_nothing_standing() -> None:
    """A subscription that a session named before any report."""
    assert Subscription("sub").newest() == (None, False)


def test_one_report_stands_and_so_does_the_newer_of_two() -> None:
    """No toss."""
    assert newest(a_version()) == ("evt_1", False)
    assert newest(a_version(1, 10), a_version(2, 9)) == ("evt_1", False)


def test_two_reports_that_nothing_connects_are_a_toss_and_the_greater_id_stands() -> None:
    """Stripe is to be asked, when there is a key."""
    one = a_version(1, previous={"x": 1}, x=2)
    other = a_version(2, previous={"x": 3}, x=4)
    assert newest(one, other) == ("evt_2", True)


def test_a_created_never_stands_over_an_update_of_its_second() -> None:
    """Even where nothing connects them and its id is greater."""
    first = a_version(9, event_type="customer.subscription.created", x=1)
    assert newest(first, a_version(1, previous={"x": 3}, x=4)) == ("evt_1", True)


def test_a_cycle_without_a_beginning_is_a_toss_unless_all_its_ends_say_the_same() -> None:
    """On and off in one second, with no second before."""
    on = a_version(1, previous={"cancel_at_period_end": False}, cancel_at_period_end=True)
    off = a_version(2, previous={"cancel_at_period_end": True}, cancel_at_period_end=False)
    assert newest(on, off) == ("evt_2", True)
    before = a_version(0, at=9, cancel_at_period_end=False)
    assert newest(before, on, off) == ("evt_2", False)
    after = a_version(0, at=9, cancel_at_period_end=True)
    assert newest(after, on, off) == ("evt_1", False)
    same = a_version(1, previous={"y": 1}, y=1)
    twin = a_version(2, previous={"y": 1}, y=1)
    assert newest(same, twin) == ("evt_2", False)


def test_a_notice_stands_only_where_the_state_is_the_one_it_shows() -> None:
    """Without old values it tells of no change, whatever its id."""
    update = a_version(1, previous={"status": "trialing"})
    notice = a_version(2, event_type="customer.subscription.trial_will_end", status="trialing")
    assert newest(update, notice) == ("evt_1", False)
    later = a_version(2, event_type="customer.subscription.trial_will_end")
    assert newest(update, later) == ("evt_2", False)


def test_a_second_before_that_fits_nothing_does_not_spoil_the_order() -> None:
    """A report is missing between; the chain of the newest second still tells."""
    before = a_version(0, at=9, x=100)
    one = a_version(2, previous={"x": 1}, x=2)
    two = a_version(1, previous={"x": 2}, x=3)
    assert newest(before, one, two) == ("evt_1", False)


def test_a_report_that_another_follows_does_not_stand_even_when_the_chain_is_broken() -> None:
    """Two that connect, one that does not: the end of the two, or the stranger."""
    one = a_version(3, previous={"x": 1}, x=2)
    two = a_version(1, previous={"x": 2}, x=3)
    stranger = a_version(2, previous={"y": 8, "x": 50}, y=9, x=51)
    assert newest(one, two, stranger) == ("evt_2", True)


def test_of_seven_reports_in_one_second_the_greatest_id_stands_and_six_are_ordered() -> None:
    """Searching every order of more would take too long."""
    chain = [a_version(9 - n, previous={"x": n}, x=n + 1) for n in range(7)]
    assert newest(*chain[:6]) == ("evt_4", False)
    assert newest(*chain) == ("evt_9", True)


def test_only_the_two_newest_seconds_are_kept() -> None:
    """A final state counts as newer than any time."""
    joined = Subscription("sub")
    for number, at in enumerate([10, 12, 11, 12]):
        joined = joined.join(Subscription("sub", versions=(a_version(number, at),)))
    assert [(each.created, each.event_id) for each in joined.versions] == [
        (12, "evt_3"),
        (12, "evt_1"),
        (11, "evt_2"),
    ]
    ended = joined.join(Subscription("sub", versions=(a_version(7, 1, status="canceled"),)))
    assert [each.created for each in ended.versions] == [1, 12, 12]


def test_among_reports_of_one_end_the_one_that_says_deleted_stands() -> None:
    """With or without the status; of two, a toss unless both say the same."""
    deleted = a_version(1, event_type="customer.subscription.deleted", status="active")
    update = a_version(2, status="canceled", previous={"status": "active"})
    assert newest(deleted, update) == ("evt_1", False)
    assert state_of(deleted).status == "canceled"
    assert (deleted.is_final, update.is_final, a_version().is_final) == (True, True, False)
    assert a_version(status="incomplete_expired").is_final


def test_a_state_reads_every_field_of_a_report() -> None:
    """Times that are no times are not known."""
    items = [
        {"id": "si_1", "price": {"id": "price_1"}, "quantity": 3, "current_period_start": 1},
        {"id": "si_2", "price": "price_2", "current_period_end": 2},
        {"plan": {"id": "plan_3"}, "current_period_end": 0},
    ]
    state = state_of(
        a_version(
            metadata={"user_id": "ann"},
            items={"data": items},
            current_period_start=7,
            current_period_end=8,
            cancel_at_period_end=True,
            cancel_at=3,
            canceled_at=4,
            trial_end=-1,
            created=5,
            start_date=6,
        )
    )
    assert (state.status, state.user_id) == ("active", "ann")
    assert state.items == (
        Item("si_1", "price_1", 3, 1, 8),
        Item("si_2", "price_2", 1, 7, 2),
        Item(None, "plan_3", 1, 7, 0),
    )
    assert state.cancel_at_period_end is True
    assert (state.cancel_at, state.canceled_at, state.trial_end, state.started) == (3, 4, None, 5)


def test_a_very_old_report_has_one_plan_and_no_items() -> None:
    """And may say only when it started."""
    old: dict[str, Any] = {
        "plan": {"id": "plan_1"},
        "quantity": 2,
        "current_period_end": 8,
        "start_date": 6,
    }
    state = state_of(a_version(**old))
    assert state.items == (Item(None, "plan_1", 2, None, 8),)
    assert state.started == 6
    assert state_of(a_version()).items == ()
    assert state_of(a_version(cancel_at_period_end="yes")).cancel_at_period_end is False


def test_the_statuses_are_stripes() -> None:
    """Final ones, those that give access, and all."""
    assert {"canceled", "incomplete_expired"} == FINAL_STATUSES
    assert {"active", "trialing", "past_due"} == ACTIVE_STATUSES
    assert {"incomplete", "unpaid", "paused"} == STATUSES - FINAL_STATUSES - ACTIVE_STATUSES
    assert len(STATUSES) == 8
