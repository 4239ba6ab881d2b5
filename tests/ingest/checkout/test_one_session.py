"""One session for an order, however often and at once it is asked for: repeats, leases, keys."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from db.checkout import checkout_lease
from ingest.checkout import service
from tests.ingest.shop import (
    PACKAGE,
    PRO,
    SHOP,
    TRIED,
    UNSYNCED,
    Shop,
    problem,
)
from tests.stripe_objects import an_event

CUSTOMER = "POST customers"
SESSION = "POST checkout/sessions"
PAID = {"status": "complete", "payment_status": "paid"}


def test_a_double_click_makes_one_session(shop: Shop) -> None:
    """Within seconds Stripe is not even asked; later only whether the session is still open."""
    first = shop.bought()
    assert shop.bought() == first
    assert len(shop.stripe.asked) == 2
    shop.age()
    assert shop.bought() == first
    assert shop.stripe.asked[2].what == f"GET checkout/sessions/{first['session_id']}"
    assert shop.stripe.count(SESSION) == 1


def test_other_terms_make_another_session_for_the_same_customer(shop: Shop) -> None:
    """Another plan or another way back is another purchase."""
    found = [shop.bought(), shop.bought(UNSYNCED), shop.bought(cancel_url=f"{SHOP}/elsewhere")]
    assert len({each["session_id"] for each in found}) == 3
    assert shop.stripe.count(CUSTOMER) == 1


def test_fifty_clicks_at_once_make_one_customer_and_one_session(shop: Shop) -> None:
    """However slow Stripe is, one request asks and all answer the same."""
    shop.stripe.delay_seconds = 0.08
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: shop.bought(), range(50)))
    assert answers == [answers[0]] * 50
    assert (shop.stripe.count(CUSTOMER), shop.stripe.count(SESSION)) == (1, 1)
    assert len(shop.stripe.asked) == 2


def test_two_purchases_at_once_make_one_customer(shop: Shop) -> None:
    """Different plans, bought in two windows at the same moment."""
    shop.stripe.delay_seconds = 0.05
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shop.bought, [PACKAGE, UNSYNCED, PRO, TRIED] * 2))
    packages = [each["session_id"] for each in (*found[0:2], *found[4:6])]
    assert len(set(packages)) == 2
    assert shop.stripe.count(CUSTOMER) == 1


def test_who_waits_too_long_is_told_to_come_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another request of the user holds the lease; nobody waits for ever."""
    monkeypatch.setattr(service, "WAIT_SECONDS", 0.2)
    with shop.context.engine.begin() as connection:
        checkout_lease.acquire(connection, "user_1", "0" * 64, None)
    answer = shop.buy()
    assert problem(answer) == (503, "checkout_busy")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_lease_whose_holder_died_is_taken_over(shop: Shop) -> None:
    """What was asked for before is asked for again under the same key, and made once."""
    shop.stripe.faults[SESSION] = ["mute", "mute"]
    assert problem(shop.buy()) == (503, "stripe_unreachable")
    with shop.context.engine.begin() as connection:
        checkout_lease.acquire(connection, "user_1", "0" * 64, None)
    shop.age()
    shop.bought()
    keys = {each.key for each in shop.stripe.asked if each.what == SESSION}
    assert (len(keys), len(shop.stripe.sessions)) == (1, 1)


def test_an_expired_session_is_followed_by_a_new_one(shop: Shop) -> None:
    """Stripe says so, or the event did, which need not be asked."""
    first = shop.bought()["session_id"]
    shop.stripe.sessions[first]["status"] = "expired"
    shop.age()
    second = shop.bought()["session_id"]
    shop.work(an_event("checkout.session.expired", shop.told(second, status="expired")))
    third = shop.bought()["session_id"]
    assert len({first, second, third}) == 3
    assert shop.stripe.count(CUSTOMER) == 1


def test_a_package_can_be_bought_again_as_soon_as_it_is_paid(shop: Shop) -> None:
    """The event says that the first one is; the click that follows is another purchase."""
    first = shop.bought()["session_id"]
    shop.work(an_event("checkout.session.completed", shop.told(first, **PAID)))
    assert shop.bought()["session_id"] != first


def test_a_key_answers_the_same_again(shop: Shop) -> None:
    """Even once it is paid: a repeated request never buys twice."""
    first = shop.bought(key="order-1")
    assert shop.bought(key="order-1") == first
    shop.work(an_event("checkout.session.completed", shop.told(first["session_id"], **PAID)))
    assert shop.bought(key="order-1") == first
    assert shop.bought(key="order-2") != first
    assert shop.stripe.count(SESSION) == 2


def test_a_key_answers_the_same_when_stripe_says_first_that_it_is_paid(shop: Shop) -> None:
    """The event is late; the repeat still buys nothing."""
    first = shop.bought(key="order-1")
    shop.stripe.sessions[first["session_id"]]["status"] = "complete"
    shop.age()
    assert shop.bought(key="order-1") == first
    assert shop.bought(key="order-2") != first


def test_a_key_with_other_content_is_refused(shop: Shop) -> None:
    """Each key is one purchase; another user's keys are another's."""
    first = shop.bought(key="order-1")
    assert problem(shop.buy(UNSYNCED, key="order-1")) == (409, "idempotency_key_reused")
    assert problem(shop.buy(key="order-1", currency="usd")) == (409, "idempotency_key_reused")
    assert shop.bought(key="order-1", user="user_2") != first


def test_a_key_whose_session_expired_begins_anew(shop: Shop) -> None:
    """Nothing can come of the old session any more."""
    first = shop.bought(key="order-1")
    shop.stripe.sessions[first["session_id"]]["status"] = "expired"
    shop.age()
    second = shop.bought(key="order-1")
    assert second != first
    assert shop.bought(key="order-1") == second


def test_no_transaction_is_open_while_stripe_is_asked(shop: Shop) -> None:
    """A slow Stripe must not hold rows or connections."""
    shop.stripe.delay_seconds = 0.4
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(shop.bought)
        shop.stripe.wait_until_asked()
        assert shop.execute(f"{idle} AND datname = current_database()") == [(0,)]
        answer.result()
