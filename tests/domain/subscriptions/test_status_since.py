"""Since when a subscription is in its state: told by reports, in whatever order they arrive."""

from itertools import permutations
from typing import Any

from domain.subscriptions.states import state_of
from tests.play import Player
from tests.stripe_objects import a_subscription, an_event

CREATED = "customer.subscription.created"
UPDATED = "customer.subscription.updated"
DELETED = "customer.subscription.deleted"

Event = dict[str, Any]


def report(at: int, status: str, before: Event | None = None, **fields: Any) -> Event:
    """An update of the subscription, with what it changed."""
    subscription = a_subscription(status=status, **fields)
    return an_event(UPDATED, subscription, created=at, previous=before)


def since(*events: Event) -> int:
    """When the status began, which no order of arrival may change."""
    found = set()
    for order in permutations(events):
        player = Player()
        for event in order:
            player.apply(event)
        subscription = player.working_set.subscriptions["sub_1"]
        version = subscription.newest()[0]
        assert version is not None
        found.add(subscription.sold.status_since(state_of(version).status, version.created))
    assert len(found) == 1, f"the order of arrival decides: {found}"
    return found.pop()


def test_a_status_begins_with_the_report_that_changed_it() -> None:
    """Later reports of the same status move nothing."""
    assert (
        since(
            an_event(CREATED, a_subscription(status="active"), created=10),
            report(20, "past_due", {"status": "active"}),
            report(30, "past_due", {"quantity": 1}, quantity=2),
            report(40, "past_due", {"latest_invoice": "in_0"}),
        )
        == 20
    )


def test_a_status_that_comes_back_begins_anew() -> None:
    """A grace is for each time that a payment is missed."""
    assert (
        since(
            report(20, "past_due", {"status": "active"}),
            report(30, "active", {"status": "past_due"}),
            report(40, "past_due", {"status": "active"}),
            report(50, "past_due", {"quantity": 1}),
        )
        == 40
    )


def test_where_no_report_says_when_it_is_the_one_that_stands() -> None:
    """A report was lost, or Stripe was asked: an answer names no change."""
    assert since(report(20, "past_due")) == 20
    assert since(report(20, "past_due", {"status": "active"}), report(30, "active")) == 30
    assert (
        since(
            report(20, "past_due", {"status": "active"}),
            report(30, "active", {"status": "past_due"}),
            report(40, "past_due"),
        )
        == 40
    )


def test_a_first_and_a_last_report_begin_their_status() -> None:
    """They carry no old values."""
    created = an_event(CREATED, a_subscription(status="trialing"), created=10)
    assert since(created, report(20, "trialing", {"quantity": 1})) == 10
    deleted = an_event(DELETED, a_subscription(status="canceled"), created=40)
    assert since(created, deleted) == 40


def test_a_pause_of_collection_begins_with_the_report_that_set_it() -> None:
    """Its end, moved later, moves nothing."""
    paused = {"behavior": "void", "resumes_at": None}
    player = Player()
    for event in (
        report(20, "active", {"pause_collection": None}, pause_collection=paused),
        report(30, "active", {"quantity": 1}, pause_collection=paused),
    ):
        player.apply(event)
    sold = player.working_set.subscriptions["sub_1"].sold
    assert sold.paused_since(30) == 20
    assert sold.status_since("active", 30) == 30
