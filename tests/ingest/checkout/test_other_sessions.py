"""Two plans can never be paid: of a user's sessions for full plans one at most is open."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.ingest.shop import PACKAGE, PRO, SHOP, TRIED, Shop, problem
from tests.stripe_objects import an_event

SESSION = "POST checkout/sessions"
PAID = {"status": "complete", "payment_status": "paid"}
SUBSCRIBED = (409, "already_subscribed")


def expire(session_id: str) -> str:
    """How Stripe is asked to expire a session."""
    return f"{SESSION}/{session_id}/expire"


@pytest.mark.parametrize(
    ("plan_id", "changes"),
    [
        (TRIED, {}),
        (PRO, {"currency": "eur"}),
        (PRO, {"success_url": f"{SHOP}/elsewhere"}),
        (PRO, {"cancel_url": f"{SHOP}/elsewhere"}),
    ],
)
def test_a_new_session_for_a_plan_ends_the_one_before(
    shop: Shop, plan_id: int, changes: dict[str, Any]
) -> None:
    """Another plan's, or the same plan's with another way back or in another currency."""
    first = shop.bought(PRO)["session_id"]
    second = shop.bought(plan_id, **changes)["session_id"]
    assert shop.stripe.payable == [second] != [first]
    asked = [each.what for each in shop.stripe.asked if each.what.startswith(SESSION)]
    assert asked == [SESSION, expire(first), SESSION]
    assert shop.status(first).get_json()["status"] == "expired"
    third = shop.bought(PRO)["session_id"]
    assert shop.stripe.payable == [third]


def test_packages_are_left_open(shop: Shop) -> None:
    """They may be bought beside a plan, and beside each other."""
    package, plan = shop.bought(PACKAGE)["session_id"], shop.bought(PRO)["session_id"]
    again = shop.bought(PACKAGE, cancel_url=f"{SHOP}/elsewhere")["session_id"]
    assert shop.stripe.payable == [package, plan, again]


def test_another_users_session_is_left_open(shop: Shop) -> None:
    """Each user may have one."""
    sessions = [shop.bought(PRO, user=user)["session_id"] for user in ("user_1", "user_2")]
    assert shop.stripe.payable == sessions


def test_of_many_tabs_at_once_one_can_be_paid(shop: Shop) -> None:
    """Whoever has the lease ends the session of whoever had it before."""
    shop.stripe.delay_seconds = 0.03
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(shop.buy, [PRO, TRIED] * 3))
    assert {answer.status_code for answer in answers} == {200}
    assert len(shop.stripe.payable) == 1


def test_who_paid_the_other_tab_is_subscribed(shop: Shop) -> None:
    """Only the events are late; Stripe says that what is paid cannot be expired."""
    first = shop.bought(PRO)["session_id"]
    shop.stripe.sessions[first] |= PAID
    for plan_id in (TRIED, PRO):
        assert problem(shop.buy(plan_id)) == SUBSCRIBED
    assert shop.stripe.count(SESSION) == 1
    shop.bought(PACKAGE)


def test_who_waited_for_the_lease_learns_that_a_plan_was_paid(shop: Shop) -> None:
    """The request before found out; the one after sells nothing on what it knew when it came."""
    first = shop.bought(PRO)["session_id"]
    shop.stripe.sessions[first] |= PAID
    shop.stripe.delay_seconds = 0.1
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(shop.buy, [TRIED] * 4))
    assert [problem(answer) for answer in answers] == [SUBSCRIBED] * 4
    assert shop.stripe.count(SESSION) == 1


def test_what_has_expired_already_is_in_nobodys_way(shop: Shop) -> None:
    """Stripe refuses to expire it again, and says why when asked."""
    first = shop.bought(PRO)["session_id"]
    shop.stripe.sessions[first]["status"] = "expired"
    second = shop.bought(TRIED)["session_id"]
    assert shop.stripe.payable == [second]


def test_what_stripe_has_forgotten_is_in_nobodys_way(shop: Shop) -> None:
    """Nobody can pay what is not there."""
    del shop.stripe.sessions[shop.bought(PRO)["session_id"]]
    second = shop.bought(TRIED)["session_id"]
    assert shop.stripe.payable == [second]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (["mute", "mute"], (503, "stripe_unreachable")),
        ([429], (503, "stripe_busy")),
        ([409], (503, "stripe_busy")),
        ([500], (502, "stripe_error")),
        ([400], (503, "checkout_busy")),
    ],
)
def test_while_the_other_may_be_paid_none_is_handed_out(
    shop: Shop, faults: list[int | str], expected: tuple[int, str]
) -> None:
    """Stripe does not say that it has ended; the next click finds that out."""
    first = shop.bought(PRO)["session_id"]
    shop.stripe.faults[expire(first)] = faults
    assert problem(shop.buy(TRIED)) == expected
    assert shop.stripe.count(SESSION) == 1
    second = shop.bought(TRIED)["session_id"]
    assert shop.stripe.payable == [second]


def test_a_session_that_silence_hid_ends_the_other_before_it_is_handed_out(shop: Shop) -> None:
    """It was made before the other, and is handed out after it."""
    shop.stripe.faults[SESSION] = ["mute", "mute"]
    assert problem(shop.buy(PRO)) == (503, "stripe_unreachable")
    hidden = shop.stripe.payable
    shop.bought(TRIED)
    assert [shop.bought(PRO)["session_id"]] == hidden == shop.stripe.payable


def test_what_comes_after_the_turn_was_lost_is_not_handed_out(shop: Shop) -> None:
    """Stripe answered so late that another request has sold a plan meanwhile."""
    shop.bought(PACKAGE)
    shop.stripe.asked.clear()
    shop.stripe.delay_seconds = 0.4
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(shop.buy, PRO)
        shop.stripe.wait_until_asked()
        shop.age()
        shop.stripe.delay_seconds = 0.0
        sold = shop.bought(TRIED)["session_id"]
        assert problem(late.result()) == (503, "checkout_busy")
    assert shop.bought(TRIED)["session_id"] == sold


def test_an_expired_session_is_told_to_the_tables(shop: Shop) -> None:
    """Stripe's own event says the same later and changes nothing."""
    first = shop.bought(PRO)["session_id"]
    shop.bought(TRIED)
    shop.work(an_event("checkout.session.expired", shop.told(first)))
    statuses = "SELECT DISTINCT status FROM webhook_events WHERE object_id = :id"
    assert shop.execute(statuses, id=first) == [("applied",)]
    assert shop.status(first).get_json()["status"] == "expired"
