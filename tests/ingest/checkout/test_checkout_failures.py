"""Every way in which Stripe can fail while something is sold: a problem, and no second sale."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.checkout import service
from ingest.checkout.deadline import Deadline
from stripe_gateway import StripeUnavailable
from tests.ingest.shop import PRO, UNSYNCED, Shop, opened, problem
from tests.stripe_checkout import serve

CUSTOMER = "POST customers"
SESSION = "POST checkout/sessions"


@pytest.mark.parametrize("at", [CUSTOMER, SESSION])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, (502, "stripe_refused")),
        (401, (503, "stripe_key_refused")),
        (402, (402, "payment_refused")),
        (403, (503, "stripe_key_refused")),
        (404, (502, "stripe_refused")),
        (409, (503, "stripe_busy")),
        (429, (503, "stripe_busy")),
        (500, (502, "stripe_error")),
        (503, (502, "stripe_error")),
    ],
)
def test_a_refusal_is_a_problem_and_the_next_click_sells(
    shop: Shop, at: str, status: int, expected: tuple[int, str]
) -> None:
    """With Stripe's request id, and with none of Stripe's words."""
    shop.stripe.faults[at] = [status]
    answer = shop.buy()
    assert problem(answer) == expected
    assert answer.get_json(force=True)["stripe_request_id"] == "req_of_the_tests"
    assert "sk_test" not in answer.text
    assert ("Retry-After" in answer.headers) == (expected[1] not in _FINAL)
    shop.bought()
    assert (len(shop.stripe.customers), len(shop.stripe.sessions)) == (1, 1)


_FINAL = ("stripe_refused", "payment_refused")


def test_stripes_wish_to_wait_is_passed_on(shop: Shop) -> None:
    """Whoever is asked too much says for how long."""
    shop.stripe.waits = 17
    shop.stripe.faults[SESSION] = [429]
    assert shop.buy().headers["Retry-After"] == "17"


def test_a_silent_stripe_is_a_problem_and_the_next_click_sells_once(shop: Shop) -> None:
    """The line goes dead after the session is made; the next click gets that session."""
    shop.stripe.faults[SESSION] = ["mute", "mute"]
    answer = shop.buy()
    assert problem(answer) == (503, "stripe_unreachable")
    assert int(answer.headers["Retry-After"]) > 0
    assert shop.bought()["session_id"] in shop.stripe.sessions
    assert len(shop.stripe.sessions) == 1


def test_a_key_that_met_silence_sells_once_when_it_comes_again(shop: Shop) -> None:
    """The caller's key is bound to the purchase before Stripe is asked."""
    shop.stripe.faults[SESSION] = ["mute", "mute"]
    assert problem(shop.buy(key="order-1")) == (503, "stripe_unreachable")
    assert problem(shop.buy(UNSYNCED, key="order-1")) == (409, "idempotency_key_reused")
    first = shop.bought(key="order-1")
    assert shop.bought(key="order-1") == first
    assert len(shop.stripe.sessions) == 1


def test_a_turn_that_was_lost_sells_nothing(shop: Shop) -> None:
    """A holder that slept too long finds another one at work, and makes no session."""
    shop.stripe.delay_seconds = 0.4
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(shop.buy)
        shop.stripe.wait_until_asked()
        shop.execute("UPDATE buyers SET claim_id = 'of another', claimed_until = now()")
        assert problem(answer.result()) == (503, "checkout_busy")
    assert shop.stripe.sessions == {}
    assert shop.execute("SELECT claim_id FROM buyers") == [("of another",)]


def test_nobody_at_stripes_address_is_a_problem(
    shop: Shop, database_url: str, redis_url: str
) -> None:
    """Connection refused: as silent as it gets."""
    nowhere = {"STRIPE_API_BASE": "http://127.0.0.1:1"}
    with opened(database_url, redis_url, shop.stripe, **nowhere) as cut_off:
        assert problem(cut_off.buy()) == (503, "stripe_unreachable")
        assert problem(cut_off.buy(PRO)) == (503, "stripe_unreachable")


def test_a_stripe_that_hangs_holds_nobody_up(
    shop: Shop, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request ends when its time is up, whatever the connection still waits for."""
    monkeypatch.setattr(service, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(service, "WAIT_SECONDS", 0.2)
    assert shop
    with serve() as stripe, opened(database_url, redis_url, stripe) as slow:
        stripe.faults[SESSION] = ["hang"]
        started = time.monotonic()
        assert problem(slow.buy(UNSYNCED)) == (503, "stripe_unreachable")
        assert time.monotonic() - started < 2


def test_several_slow_answers_share_one_deadline() -> None:
    """Each is quick enough by itself; together they are not waited for."""
    deadline = Deadline(0.3)
    deadline.ask(lambda: time.sleep(0.2))
    with pytest.raises(StripeUnavailable):
        deadline.ask(lambda: time.sleep(0.2))
    assert deadline.remaining_seconds == 0


def test_a_stored_error_that_hid_a_session_is_seen_through(shop: Shop) -> None:
    """Stripe made it, failed, and repeats the failure for the key; the list shows the session."""
    shop.stripe.faults[SESSION] = ["lost"]
    assert problem(shop.buy()) == (502, "stripe_error")
    [hidden] = shop.stripe.sessions
    assert shop.bought()["session_id"] == hidden
    assert len({each.key for each in shop.stripe.asked if each.what == SESSION}) == 1


def test_a_stored_error_that_hid_nothing_is_left_behind(shop: Shop) -> None:
    """The key will never answer otherwise; the next click sells under a new one."""
    shop.stripe.faults[SESSION] = ["broken"]
    assert problem(shop.buy()) == (502, "stripe_error")
    shop.bought()
    assert len(shop.stripe.sessions) == 1
    states = shop.execute("SELECT state FROM purchases ORDER BY created_at")
    assert [row.state for row in states] == ["lost", "open"]


@pytest.mark.parametrize(("fault", "made"), [("lost", 1), ("broken", 1)])
def test_a_stored_error_of_a_customer_makes_no_second_one(
    shop: Shop, fault: str, made: int
) -> None:
    """A customer that the error hid is found; one that was never made is made under a new key."""
    shop.stripe.faults[CUSTOMER] = [fault]
    shop.buy()
    shop.bought()
    shop.bought(UNSYNCED)
    assert len(shop.stripe.customers) == made


def test_a_session_that_stripe_has_forgotten_is_followed_by_a_new_one(shop: Shop) -> None:
    """Of a test account whose data was wiped, say."""
    first = shop.bought()["session_id"]
    shop.stripe.sessions.clear()
    shop.stripe.customers.clear()
    shop.age()
    assert shop.bought()["session_id"] != first


def test_while_stripe_cannot_tell_no_second_session_is_made(shop: Shop) -> None:
    """Whether the first can still be paid is not known, so there is a problem instead."""
    first = shop.bought()
    shop.age()
    shop.stripe.faults[f"GET checkout/sessions/{first['session_id']}"] = [500]
    assert problem(shop.buy()) == (502, "stripe_error")
    assert shop.bought() == first


def test_an_answer_that_is_none_is_a_problem(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway in between may answer 200 with something of its own."""
    monkeypatch.setattr(shop.receiver.gateway.__class__, "create_checkout_session", _nothing)
    assert problem(shop.buy()) == (502, "stripe_error")


def _nothing(*_: object, **__: object) -> dict[str, object]:
    return {}
