"""Which report of a subscription stands: newest second, final states, order within a second."""

from itertools import permutations
from typing import Any

import pytest

from tests.play import Player, play
from tests.stripe_objects import NEW, OLD, a_subscription, an_event

CREATED = "customer.subscription.created"
UPDATED = "customer.subscription.updated"
DELETED = "customer.subscription.deleted"


def report(kind: str, at: int, previous: Any = None, **fields: Any) -> dict[str, Any]:
    """One event about `sub_1`."""
    return an_event(kind, a_subscription(**fields), created=at, previous=previous)


def status_in_every_order(events: list[dict[str, Any]]) -> str | None:
    """The status that all orders of arrival end with."""
    ends = {play(order).subscriptions["sub_1"] for order in permutations(events)}
    assert len(ends) == 1, f"the order of arrival decides: {ends}"
    state = ends.pop()
    return state.status if state else None


def test_a_late_created_does_not_undo_an_update() -> None:
    """Payers left `incomplete` because `created` came last are a known failure elsewhere."""
    events = [
        report(CREATED, 10, status="incomplete"),
        report(UPDATED, 11, {"status": "incomplete"}, status="active"),
    ]
    assert status_in_every_order(events) == "active"


def test_in_one_second_old_values_tell_the_order() -> None:
    """`created` and its update share a second at every purchase."""
    events = [
        report(CREATED, 10, status="incomplete"),
        report(UPDATED, 10, {"status": "incomplete"}, status="active"),
    ]
    assert status_in_every_order(events) == "active"


def test_a_chain_in_one_second_is_followed_to_its_end() -> None:
    """Also when the middle of the chain arrives last."""
    events = [
        report(CREATED, 10, status="incomplete"),
        report(UPDATED, 10, {"status": "incomplete"}, status="active"),
        report(UPDATED, 10, {"status": "active"}, status="past_due"),
        report(UPDATED, 10, {"status": "past_due"}, status="unpaid"),
    ]
    assert status_in_every_order(events) == "unpaid"


def test_a_state_that_returns_within_a_second_is_not_mistaken_for_its_first_time() -> None:
    """active, past_due, active again: the middle one follows both, the chain decides."""
    events = [
        report(CREATED, 10, status="active"),
        report(UPDATED, 10, {"status": "active"}, status="past_due"),
        report(UPDATED, 10, {"status": "past_due"}, status="active", cancel_at=99),
        report(UPDATED, 10, {"cancel_at": 99}, status="active", cancel_at=None),
    ]
    assert status_in_every_order(events) == "active"


def test_the_second_before_tells_where_a_toggle_began() -> None:
    """Cancel and undo in one second follow from each other both ways; only the start tells."""
    base = report(CREATED, 9, cancel_at_period_end=False)
    on = report(UPDATED, 10, {"cancel_at_period_end": False}, cancel_at_period_end=True)
    off = report(UPDATED, 10, {"cancel_at_period_end": True}, cancel_at_period_end=False)
    ends = {play(order).subscriptions["sub_1"] for order in permutations([base, on, off])}
    assert {end.cancel_at_period_end for end in ends if end} == {False}


def test_a_toggle_whose_start_is_unknown_is_flagged_and_ends_the_same() -> None:
    """Both orders are possible and end differently: a fixed order chooses, and says so."""
    on = report(UPDATED, 10, {"cancel_at_period_end": False}, cancel_at_period_end=True)
    off = report(UPDATED, 10, {"cancel_at_period_end": True}, cancel_at_period_end=False)
    for order in permutations([on, off]):
        player = Player()
        for event in order:
            player.apply(event)
        version, undecided = player.working_set.subscriptions["sub_1"].newest()
        assert version is not None
        assert (version.event_id, undecided) == (max(on["id"], off["id"]), True)


def test_old_values_inside_objects_are_compared_key_by_key() -> None:
    """Metadata lists only changed keys, and null is the same as absent."""
    events = [
        report(UPDATED, 10, {"metadata": {"tier": None}}, metadata={"tier": "a"}, status="active"),
        report(UPDATED, 10, {"metadata": {"tier": "a"}}, metadata={"tier": "b"}, status="past_due"),
    ]
    assert status_in_every_order(events) == "past_due"


def test_deleted_wins_its_second() -> None:
    """An update that tells of the same end, or of the state before, does not hide it."""
    events = [
        report(UPDATED, 10, {"cancel_at": None}, status="active", cancel_at=11),
        report(DELETED, 10, status="canceled", canceled_at=10),
        report(UPDATED, 10, {"status": "active"}, status="canceled"),
    ]
    assert status_in_every_order(events) == "canceled"


@pytest.mark.parametrize("final", ["canceled", "incomplete_expired"])
def test_a_final_state_is_never_undone(final: str) -> None:
    """Not by an older event, and not by one that claims to be newer."""
    events = [
        report(UPDATED, 10, status=final),
        report(UPDATED, 5, status="active"),
        report(UPDATED, 20, {"status": "incomplete"}, status="active"),
    ]
    assert status_in_every_order(events) == final


def test_an_undecided_second_ends_the_same_in_every_order() -> None:
    """Nothing connects the two: a fixed order chooses, never the order of arrival."""
    events = [
        report(UPDATED, 10, {"latest_invoice": "in_7"}, status="active", latest_invoice="in_8"),
        report(UPDATED, 10, {"latest_invoice": "in_1"}, status="past_due", latest_invoice="in_2"),
    ]
    assert status_in_every_order(events) in {"active", "past_due"}


def test_a_notice_without_old_values_changes_nothing() -> None:
    """`trial_will_end` shares its second with the update that ends the trial."""
    events = [
        report("customer.subscription.trial_will_end", 10, status="trialing"),
        report(UPDATED, 10, {"status": "trialing"}, status="active"),
    ]
    assert status_in_every_order(events) == "active"


@pytest.mark.parametrize("shape", [OLD, NEW])
def test_the_period_is_read_from_the_item_or_from_the_subscription(shape: str) -> None:
    """Since 2025-03-31 the period belongs to each item."""
    event = an_event(CREATED, a_subscription(api_version=shape), api_version=shape)
    state = play([event]).subscriptions["sub_1"]
    assert state is not None
    assert state.items[0].period_end == 1_702_592_000


def test_an_unknown_status_is_kept_as_it_is() -> None:
    """Statuses appear the day Stripe ships them."""
    assert status_in_every_order([report(UPDATED, 10, status="hibernating")]) == "hibernating"
