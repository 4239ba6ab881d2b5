"""Sessions that nobody may pay any more are expired at Stripe by a task, and none is forgotten."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from domain.catalogue.plans import Catalogue
from ingest.checkout.other_sessions import OtherSessions
from tests.ingest.shop import PACKAGE, PRO, SHOP, TRIED, Shop, opened, stock, swept
from tests.pipeline import sell
from tests.play import a_plan
from tests.stripe_checkout import serve
from tests.stripe_objects import a_subscription, an_event
from workers import tasks
from workers.questions.superseded import QUESTIONS_MAX, expire_superseded

PAID = {"status": "complete", "payment_status": "paid"}
# A package that renews and begins with a trial.
REFILL = 9
ENDED = 1_700_600_000


@pytest.fixture(scope="module")
def mall(database_url: str, redis_url: str) -> Iterator[Shop]:
    """One shop for the module, whose worker has its Stripe key."""
    with serve() as stripe, opened(database_url, redis_url, stripe) as found:
        stock(found)
        refill = a_plan(REFILL, 30, type="token", trial_days=7, stripe_price_ids={"price_9": "usd"})
        sell(found.context.engine, Catalogue.of([refill]))
        yield replace(found, context=replace(found.context, gateway=found.receiver.gateway))


@pytest.fixture
def shop(mall: Shop) -> Shop:
    """The same, where nothing has happened yet."""
    found = swept(mall)
    found.stripe.prices.add("price_9")
    return found


@pytest.fixture
def two_open(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two sessions for full plans, as checkout left them open before it expired any."""
    monkeypatch.setattr(OtherSessions, "expire_plans", lambda _sessions, _lease: None)
    return [shop.bought(plan_id)["session_id"] for plan_id in (PRO, TRIED)]


def subscribed(**changes: Any) -> dict[str, Any]:
    """The event of a subscription of `user_1` to the pro plan."""
    return an_event("customer.subscription.created", a_subscription(**changes))


def tried(price: str) -> dict[str, Any]:
    """The event of a trial of `user_1` that is over, begun elsewhere."""
    found = a_subscription(status="canceled", trial_end=ENDED, metadata={"user_id": "user_1"})
    found["items"]["data"][0]["price"]["id"] = price
    return an_event("customer.subscription.deleted", found)


def refill(shop: Shop) -> str:
    """Open a session for the package that begins with a trial."""
    return str(shop.bought(REFILL, plan_type="token")["session_id"])


def expire(session_id: str) -> str:
    """How Stripe is asked to expire a session."""
    return f"POST checkout/sessions/{session_id}/expire"


def pass_pause(shop: Shop) -> None:
    """Let the longest pause pass."""
    shop.execute("UPDATE stripe_turn SET pause_until = NULL")
    shop.execute("UPDATE purchases SET expire_after = now() - interval '1 second'")


def test_when_one_is_completed_the_other_is_expired(shop: Shop, two_open: list[str]) -> None:
    """As soon as the event says so, whether that of the subscription has come or not."""
    paid, other = two_open
    assert expire_superseded(shop.context) == 0
    shop.stripe.sessions[paid] |= PAID
    shop.work(an_event("checkout.session.completed", shop.told(paid, **PAID)))
    assert expire_superseded(shop.context) == 1
    assert shop.stripe.payable == []
    assert shop.stripe.sessions[paid]["status"] == "complete"
    assert shop.status(other).get_json()["status"] == "expired"
    assert shop.stripe.count(expire(paid)) == 0
    pass_pause(shop)
    assert expire_superseded(shop.context) == 0
    assert shop.stripe.count(expire(other)) == 1


def test_a_plan_bought_elsewhere_ends_an_open_session(shop: Shop) -> None:
    """By a payment link, or made in the dashboard; packages stay open, and others' sessions."""
    mine = shop.bought(PRO)["session_id"]
    packages = [shop.bought(PACKAGE)["session_id"], refill(shop)]
    others = shop.bought(PRO, user="user_2")["session_id"]
    shop.work(subscribed())
    assert expire_superseded(shop.context) == 1
    assert shop.stripe.payable == [*packages, others]
    assert shop.status(mine).get_json()["status"] == "expired"


@pytest.mark.parametrize("changes", [{"status": "canceled"}, {"metadata": {"user_id": "user_1"}}])
def test_what_is_no_live_plan_ends_nothing(shop: Shop, changes: dict[str, Any]) -> None:
    """It ended, or renews a package; should it become one, the next look finds that."""
    mine = shop.bought(PRO)["session_id"]
    found = a_subscription(**changes)
    found["items"]["data"][0]["price"]["id"] = "price_9"
    shop.work(an_event("customer.subscription.created", found))
    assert expire_superseded(shop.context) == 0
    assert shop.stripe.payable == [mine]
    shop.work(subscribed(id="sub_2"))
    assert expire_superseded(shop.context) == 0
    pass_pause(shop)
    assert expire_superseded(shop.context) == 1


def test_a_session_whose_own_subscription_came_first_is_left_as_it_is(shop: Shop) -> None:
    """Stripe says that it is complete, which is noted."""
    paid = shop.bought(PRO)["session_id"]
    shop.stripe.sessions[paid] |= PAID
    shop.work(subscribed())
    assert expire_superseded(shop.context) == 1
    assert shop.execute("SELECT state FROM purchases") == [("complete",)]


def test_what_stripe_has_forgotten_is_not_asked_about_again(shop: Shop) -> None:
    """Nobody can pay what is not there."""
    del shop.stripe.sessions[shop.bought(PRO)["session_id"]]
    shop.work(subscribed())
    assert expire_superseded(shop.context) == 1
    assert shop.execute("SELECT state FROM purchases") == [("lost",)]


@pytest.mark.parametrize("fault", ["mute", 429, 500, 400])
def test_a_stripe_that_does_not_do_it_is_asked_again_with_pauses(
    shop: Shop, fault: int | str
) -> None:
    """Each longer than the one before; in the end it is done."""
    mine = shop.bought(PRO)["session_id"]
    shop.work(subscribed())
    shop.stripe.faults[expire(mine)] = [fault] * 4
    pauses = []
    for _ in range(2):
        assert expire_superseded(shop.context) == 0
        asked = len(shop.stripe.asked)
        assert expire_superseded(shop.context) == 0
        assert len(shop.stripe.asked) == asked
        left = "SELECT extract(epoch FROM expire_after - now()) FROM purchases"
        [[seconds]] = shop.execute(left)
        pauses.append(float(seconds))
        pass_pause(shop)
    assert pauses[0] < 5 < pauses[1] < 10
    shop.stripe.faults.clear()
    assert expire_superseded(shop.context) == 1
    assert shop.stripe.payable == []


def test_pauses_are_bounded(shop: Shop) -> None:
    """However often Stripe did not do it."""
    mine = shop.bought(PRO)["session_id"]
    shop.work(subscribed())
    shop.execute("UPDATE purchases SET expire_tries = 1000000")
    shop.stripe.faults[expire(mine)] = [500]
    assert expire_superseded(shop.context) == 0
    [[seconds]] = shop.execute("SELECT extract(epoch FROM expire_after - now()) FROM purchases")
    assert 290 < float(seconds) <= 300


def test_a_worker_that_died_at_it_leaves_it_to_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asked, and did not live to note what came of it; asking again is harmless."""
    mine = shop.bought(PRO)["session_id"]
    shop.work(subscribed())

    def dies(*_arguments: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("workers.questions.superseded.purchases.end", dies)
        with pytest.raises(SystemExit):
            expire_superseded(shop.context)
    assert shop.stripe.payable == []
    assert shop.execute("SELECT state FROM purchases") == [("open",)]
    pass_pause(shop)
    assert expire_superseded(shop.context) == 1
    assert shop.execute("SELECT state FROM purchases") == [("expired",)]
    assert shop.stripe.count(expire(mine)) == 2


def test_many_are_done_in_several_runs(shop: Shop) -> None:
    """A run asks a few questions; two workers at once ask each once."""
    users = [f"buyer_{number}" for number in range(QUESTIONS_MAX + 3)]
    for number, user in enumerate(users):
        shop.bought(PRO, user=user)
        metadata = {"user_id": user, "plan_id": str(PRO)}
        shop.work(subscribed(id=f"sub_{number}", customer=f"cus_{number}", metadata=metadata))
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(expire_superseded, [shop.context] * 2))
    assert sum(ended) == QUESTIONS_MAX
    pass_pause(shop)
    assert expire_superseded(shop.context) == 3
    assert shop.stripe.payable == []
    assert {shop.stripe.count(expire(session)) for session in shop.stripe.sessions} == {1}


def test_without_a_key_nothing_is_asked(shop: Shop) -> None:
    """And nothing is touched."""
    shop.bought(PRO)
    shop.work(subscribed())
    assert expire_superseded(replace(shop.context, gateway=None)) == 0
    assert len(shop.stripe.payable) == 1


def test_no_transaction_is_open_while_stripe_is_asked(shop: Shop) -> None:
    """A slow Stripe must not hold rows or connections."""
    shop.bought(PRO)
    shop.work(subscribed())
    shop.stripe.asked.clear()
    shop.stripe.delay_seconds = 0.4
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(expire_superseded, shop.context)
        shop.stripe.wait_until_asked()
        assert shop.execute(f"{idle} AND datname = current_database()") == [(0,)]
        assert ended.result() == 1


def test_a_trial_had_elsewhere_ends_an_open_session_with_one(shop: Shop) -> None:
    """Without a trial it stays; per plan another plan's trial ends nothing."""
    trying, plain = refill(shop), shop.bought(PRO, cancel_url=f"{SHOP}/x")["session_id"]
    per_plan = replace(shop.context, trials="per_plan")
    shop.work(tried("price_5"))
    assert expire_superseded(per_plan) == 0
    pass_pause(shop)
    assert expire_superseded(shop.context) == 1
    assert shop.stripe.payable == [plain]
    assert shop.stripe.sessions[trying]["status"] == "expired"


def test_per_plan_a_trial_of_the_same_plan_ends_an_open_session(shop: Shop) -> None:
    """Nothing but the price says which plan it was."""
    refill(shop)
    shop.work(tried("price_9"))
    assert expire_superseded(replace(shop.context, trials="per_plan")) == 1
    assert shop.stripe.payable == []


def test_the_periodic_task_does_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside any drain, beside the other questions to Stripe."""
    shop.bought(PRO)
    shop.work(subscribed())
    monkeypatch.setattr("workers.tasks.context", lambda: shop.context)
    tasks.ask()
    assert shop.stripe.payable == []
