"""The checkout lease: one process asks Stripe for a buyer, and a purchase comes of it once."""

from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.checkout import checkout_lease, purchases
from db.checkout.checkout_lease import LEASE_SECONDS, CheckoutLease, CheckoutLeaseLostError
from db.checkout.purchases import FRESH_SECONDS, Keyed, Purchase
from domain.checkout.order import Order, PlanOnSale
from domain.errors import KeyReusedError
from tests.pipeline import sell
from tests.play import CATALOGUE

PLAN = next(plan for plan in CATALOGUE.plans if plan.interval)
KEY = Keyed("key_1", "1" * 64)
SESSION = {"id": "cs_1", "url": "https://pay.example.com/cs_1"}


def an_order(user_id: str = "user_1", success_url: str = "https://app.example.com/") -> Order:
    """An order of the tests' first plan."""
    offer = PlanOnSale(
        PLAN.id, PLAN.version, PLAN.type, PLAN.name, PLAN.interval, 0, dict(PLAN.prices)
    )
    return Order(user_id, offer, next(iter(PLAN.prices)), success_url, "https://app.example.com/")


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """A database that sells the tests' plans and knows no buyer."""
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE checkout_keys, purchases, buyers"))
        known = connection.execute(text("SELECT count(*) FROM plans")).scalar_one()
    if not known:
        sell(engine, CATALOGUE)
    return engine


def acquire(
    engine: Engine, order: Order, keyed: Keyed | None = None
) -> Purchase | CheckoutLease | None:
    """Ask for the lease in a transaction of its own."""
    with engine.begin() as connection:
        return checkout_lease.acquire(connection, order.user_id, order.fingerprint, keyed)


def leased(engine: Engine, order: Order, keyed: Keyed | None = None) -> CheckoutLease:
    """The lease; there must be one."""
    lease = acquire(engine, order, keyed)
    assert isinstance(lease, CheckoutLease)
    return lease


def sold(engine: Engine, order: Order, keyed: Keyed | None = None, **session: Any) -> Purchase:
    """A purchase with an open session, as a request leaves it behind."""
    lease = leased(engine, order, keyed)
    with engine.begin() as connection:
        made = checkout_lease.begin(
            connection, lease, order, keyed, purchase_id=lease.id, params={"customer": "cus_1"}
        )
        recorded = checkout_lease.record(connection, lease, made.id, SESSION | session)
        checkout_lease.release(connection, lease)
    return recorded


def run_out(engine: Engine) -> None:
    """Let every lease be over."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE buyers SET claimed_until = clock_timestamp()"))


def test_one_asks_for_a_buyer_and_others_wait(shop: Engine) -> None:
    """Another buyer's lease is another; a released one is free at once."""
    lease = leased(shop, an_order())
    assert acquire(shop, an_order()) is None
    assert acquire(shop, an_order(success_url="https://app.example.com/other")) is None
    leased(shop, an_order("user_2"))
    with shop.begin() as connection:
        checkout_lease.release(connection, lease)
    leased(shop, an_order())


def test_the_lease_of_a_dead_process_runs_out(shop: Engine) -> None:
    """And whoever outlived it can neither write nor take it back."""
    late = leased(shop, an_order())
    seconds = text("SELECT extract(epoch FROM claimed_until - clock_timestamp()) FROM buyers")
    with shop.connect() as connection:
        assert 0 < connection.execute(seconds).scalar_one() <= LEASE_SECONDS
    run_out(shop)
    leased(shop, an_order())
    with shop.begin() as connection, pytest.raises(CheckoutLeaseLostError):
        checkout_lease.keep_customer(connection, late, "cus_late")
    with shop.begin() as connection, pytest.raises(CheckoutLeaseLostError):
        checkout_lease.next_attempt(connection, late)
    with shop.begin() as connection, pytest.raises(CheckoutLeaseLostError):
        checkout_lease.begin(connection, late, an_order(), None, purchase_id="x", params={})
    with shop.begin() as connection, pytest.raises(CheckoutLeaseLostError):
        checkout_lease.record(connection, late, "x", SESSION)
    with shop.begin() as connection:
        checkout_lease.release(connection, late)
    assert acquire(shop, an_order()) is None


def test_the_same_order_gets_the_session_that_is_open(shop: Engine) -> None:
    """For a while it is handed out unasked; then it is gone on with, by whoever has the lease."""
    first = sold(shop, an_order())
    assert acquire(shop, an_order()) == first
    with shop.begin() as connection:
        back = text("UPDATE purchases SET created_at = created_at - make_interval(secs => :s)")
        connection.execute(back, {"s": FRESH_SECONDS + 1})
    lease = leased(shop, an_order())
    assert lease.purchase is not None
    assert (lease.purchase.id, lease.purchase.is_answer, lease.is_repeat) == (
        first.id,
        False,
        False,
    )
    with shop.begin() as connection:
        purchases.still_open(connection, first.id)
    run_out(shop)
    assert acquire(shop, an_order()) == first


def test_a_purchase_that_has_ended_is_not_gone_on_with(shop: Engine) -> None:
    """Another session is made, and nothing ends twice."""
    first = sold(shop, an_order())
    with shop.begin() as connection:
        purchases.end(connection, first.id, "expired")
        purchases.end(connection, first.id, "complete")
        states = connection.execute(text("SELECT state FROM purchases")).scalars().all()
    assert states == ["expired"]
    assert leased(shop, an_order()).purchase is None


@pytest.mark.parametrize(("rank", "state"), [(0, "open"), (1, "expired"), (2, "complete")])
def test_an_end_that_events_told_is_noted(shop: Engine, rank: int, state: str) -> None:
    """Stripe need not be asked."""
    sold(shop, an_order())
    with shop.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO payments (id, kind, root_id, facts, listed, amount_minor,"
                " refunded_minor, disputed_minor, credited_minor, tokens, lacks_user, lacks_plan)"
                " VALUES ('cs_1', 'session', 'cs_1', jsonb_build_object('session',"
                " jsonb_build_object('rank', CAST(:rank AS integer))), false, 0, 0, 0, 0, 0,"
                " false, false)"
            ),
            {"rank": rank},
        )
        purchases.note_ended(connection, "user_1")
        assert connection.execute(text("SELECT state FROM purchases")).scalar_one() == state


def test_a_key_answers_with_its_purchase_and_for_nothing_else(shop: Engine) -> None:
    """Even when it is complete; the key with another request is refused."""
    first = sold(shop, an_order(), KEY)
    with shop.begin() as connection:
        purchases.end(connection, first.id, "complete")
    again = acquire(shop, an_order(success_url="https://app.example.com/other"), KEY)
    assert isinstance(again, Purchase)
    assert (again.id, again.state) == (first.id, "complete")
    with pytest.raises(KeyReusedError):
        acquire(shop, an_order(), Keyed(KEY.key, "2" * 64))
    assert isinstance(acquire(shop, an_order("user_2"), KEY), CheckoutLease), "keys are a user's"


def test_a_key_of_what_came_to_nothing_stands_for_the_next(shop: Engine) -> None:
    """A request that failed may be sent again."""
    first = sold(shop, an_order(), KEY)
    with shop.begin() as connection:
        purchases.end(connection, first.id, "lost")
    second = sold(shop, an_order(), KEY, id="cs_2")
    assert second.id != first.id
    assert acquire(shop, an_order(), KEY) == second


def test_a_missing_customer_is_not_used_again(shop: Engine) -> None:
    """And the next one is made under a new key."""
    lease = leased(shop, an_order())
    query = text("SELECT customer_id, missing_customer_ids FROM buyers")
    with shop.begin() as connection:
        checkout_lease.keep_customer(connection, lease, "cus_1")
        assert checkout_lease.attempt(connection, lease) == 0
        checkout_lease.next_attempt(connection, lease)
        assert tuple(connection.execute(query).one()) == ("cus_1", [])
        checkout_lease.next_attempt(connection, lease, "cus_1")
        assert checkout_lease.attempt(connection, lease) == 2
        assert tuple(connection.execute(query).one()) == (None, ["cus_1"])


def test_other_open_plans_are_all_but_the_one_in_hand(shop: Engine) -> None:
    """A buyer may have one full plan, so the other sessions must go."""
    first = sold(shop, an_order())
    second = sold(shop, an_order(success_url="https://app.example.com/2"), id="cs_2")
    with shop.begin() as connection:
        everything = purchases.other_plans(connection, "user_1")
        others = purchases.other_plans(connection, "user_1", but=second)
        assert purchases.other_plans(connection, "user_2") == []
    is_full = PLAN.type == "full"
    assert {one.id for one in everything} == ({first.id, second.id} if is_full else set())
    assert [one.id for one in others] == ([first.id] if is_full else [])
