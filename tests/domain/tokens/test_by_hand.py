"""What people say by hand, in the pure core: decoded, joined in any order, valued."""

from itertools import permutations
from typing import Any

import pytest

from domain.decode import decode, parse
from domain.errors import DecodeError
from domain.synthetic_events import by_hand
from domain.tokens.adjustments import Adjustment, entries_for
from tests.play import play
from tests.stripe_objects import a_customer, a_session, an_event


def given(number: str, created: int = 1, **changes: Any) -> dict[str, Any]:
    """An assignment of the package `cs_1`."""
    told = {"payment_id": "cs_1", "by": "Ada"} | changes
    return by_hand.assigned(number, created, **told)


def test_the_newest_assignment_wins_in_any_order() -> None:
    """Over earlier ones and over every claim, whenever the payment itself is heard of."""
    told = [
        an_event("checkout.session.completed", a_session()),
        an_event("customer.updated", a_customer(), created=1_800_000_000),
        given("1", user_id="user_7"),
        given("2", created=2, user_id="user_8"),
        given("0", created=2, user_id="user_9"),
    ]
    for order in permutations(told):
        assert play(order).balances == {"user_8": 1_000}


def test_an_assigned_plan_takes_the_place_of_the_one_that_was_named() -> None:
    """Plan 1 costs 9.00: five dollars hold it no whole time, so it counts once."""
    told = [an_event("checkout.session.completed", a_session()), given("1", plan_id=1)]
    for order in permutations(told):
        [payment] = [each for each in play(order).payments.values() if each.listed]
        assert (payment.plan_id, payment.tokens) == (1, 3_000)


def test_an_adjustment_is_found_by_its_event() -> None:
    """Its id is the event's, the inbox knows whom it is about."""
    event = by_hand.adjusted("7", 5, user_id="user_1", amount=-3, by="Ada", reason="why")
    decoded = decode(parse(event))
    assert decoded.facts == (Adjustment("manual_7", "user_1", -3, "Ada", "why"),)
    assert (decoded.object_id, decoded.user_id) == ("manual_7", "user_1")
    assert (decoded.is_handled, decoded.note) == (True, None)


@pytest.mark.parametrize("changes", [{"amount": 0}, {"user_id": ""}, {"by": ""}, {"reason": ""}])
def test_an_adjustment_must_say_all(changes: dict[str, Any]) -> None:
    """Who, whom, how much and why."""
    told: dict[str, Any] = {"user_id": "user_1", "amount": 1, "by": "Ada", "reason": "why"}
    told |= changes
    with pytest.raises(DecodeError):
        decode(parse(by_hand.adjusted("7", 5, **told)))


def test_an_adjustment_posts_what_the_ledger_lacks_of_it() -> None:
    """Nothing the second time; what was posted for another user goes back."""
    said = Adjustment("manual_7", "user_1", 5, "Ada", "why")
    [entry] = entries_for(said, {})
    assert (entry.user_id, entry.delta, entry.reason) == ("user_1", 5, "why (by Ada)")
    assert entries_for(said, {"user_1": 5}) == []
    assert [(each.user_id, each.delta) for each in entries_for(said, {"user_2": 5})] == [
        ("user_1", 5),
        ("user_2", -5),
    ]


@pytest.mark.parametrize(
    ("event_id", "event_type", "expected"),
    [
        ("manual_1", "invoice.paid", True),
        ("fetched_evt_1", "invoice.paid", True),
        ("evt_1", "fiko.payment.assigned", True),
        ("evt_1", "invoice.paid", False),
    ],
)
def test_what_only_we_give_is_told_by_its_name(
    event_id: str, event_type: str, *, expected: bool
) -> None:
    """Whoever else sends it is refused."""
    assert by_hand.is_ours(event_id, event_type) is expected
