"""A trial is offered once: a user, or with TRIALS=per_plan a plan, wherever it began."""

from collections.abc import Iterator
from typing import Any

import pytest

from domain.catalogue.plans import Catalogue
from tests.ingest.shop import PACKAGE, PRO, SHOP, TRIED, Shop, opened, stock, swept
from tests.pipeline import sell
from tests.play import a_plan
from tests.stripe_checkout import serve
from tests.stripe_objects import (
    a_customer,
    a_line,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
)

# Beside the plan of the shop: another plan with a trial, and a package that renews, with one.
OTHER, REFILL = 8, 9
SESSION = "POST checkout/sessions"
PAID = {"status": "complete", "payment_status": "no_payment_required"}
EXTRA = Catalogue.of(
    [
        a_plan(OTHER, 300, trial_days=7, stripe_price_ids={"price_8": "usd"}),
        a_plan(REFILL, 30, type="token", trial_days=7, stripe_price_ids={"price_9": "usd"}),
    ]
)
PRICES = {TRIED: "price_5", OTHER: "price_8", REFILL: "price_9", PRO: "price_pro_usd"}
TYPES = {REFILL: "token"}
ENDED = 1_700_600_000


@pytest.fixture(scope="module")
def malls(database_url: str, redis_url: str) -> Iterator[dict[str, Shop]]:
    """The same shop twice, by its setting."""
    with (
        serve() as stripe,
        opened(database_url, redis_url, stripe) as once,
        opened(database_url, redis_url, stripe, TRIALS="per_plan") as per_plan,
    ):
        stock(once)
        sell(once.context.engine, EXTRA)
        yield {"once": once, "per_plan": per_plan}


@pytest.fixture
def shop(malls: dict[str, Shop]) -> Shop:
    """The shop that lets a user try once, where nothing has happened yet."""
    return ready(malls["once"])


@pytest.fixture
def shop_per_plan(malls: dict[str, Shop]) -> Shop:
    """The shop that lets a user try each plan, where nothing has happened yet."""
    return ready(malls["per_plan"])


def ready(mall: Shop) -> Shop:
    """The same, where Stripe has every price."""
    found = swept(mall)
    found.stripe.prices |= set(PRICES.values())
    return found


def buy(shop: Shop, plan_id: int, **changes: Any) -> str:
    """Ask for a checkout session; its id."""
    body = {"plan_type": TYPES.get(plan_id, "full")} | changes
    return str(shop.bought(plan_id, **body)["session_id"])


def has_trial(shop: Shop, session_id: str) -> bool:
    """Whether Stripe was asked for a trial."""
    return "trial_period_days" in shop.stripe.sessions[session_id]["subscription_data"]


def a_trial(plan_id: int, **changes: Any) -> dict[str, Any]:
    """The event of a trial of `user_1` that is over, begun by link: it claims no plan."""
    made: dict[str, Any] = {"status": "canceled", "metadata": {"user_id": "user_1"}}
    found = a_subscription(**made | {"trial_end": ENDED} | changes)
    found["items"]["data"][0]["price"]["id"] = PRICES[plan_id]
    return an_event("customer.subscription.deleted", found)


def test_the_first_plan_may_be_tried(shop: Shop) -> None:
    """Whatever else was bought."""
    shop.work(a_trial(PRO, trial_end=None))
    shop.work(an_event("checkout.session.completed", a_session()))
    assert has_trial(shop, buy(shop, TRIED))


@pytest.mark.parametrize("plan_id", [PRO, OTHER, TRIED])
def test_who_tried_any_plan_tries_no_other(shop: Shop, plan_id: int) -> None:
    """Also where the trial was begun elsewhere."""
    shop.work(a_trial(plan_id))
    assert not has_trial(shop, buy(shop, TRIED))


def test_per_plan_another_plan_may_be_tried(shop_per_plan: Shop) -> None:
    """And the same one may not."""
    shop_per_plan.work(a_trial(OTHER))
    assert has_trial(shop_per_plan, buy(shop_per_plan, TRIED))
    assert not has_trial(shop_per_plan, buy(shop_per_plan, OTHER))


@pytest.mark.parametrize("plan_id", [PRO, OTHER])
def test_per_plan_a_trial_of_a_plan_that_was_left_counts(shop_per_plan: Shop, plan_id: int) -> None:
    """The subscription went over to another plan; what it claims names the one that was tried."""
    claims = {"user_id": "user_1", "plan_id": str(TRIED)}
    shop_per_plan.work(a_trial(plan_id, metadata=claims))
    assert not has_trial(shop_per_plan, buy(shop_per_plan, TRIED))


def test_per_plan_the_first_invoice_tells_what_was_tried(shop_per_plan: Shop) -> None:
    """Nothing was claimed, and the subscription went over to another plan."""
    line = a_line(0, price=PRICES[TRIED])
    shop_per_plan.work(
        an_event("invoice.paid", an_invoice([line], billing_reason="subscription_create")),
        a_trial(PRO),
    )
    assert not has_trial(shop_per_plan, buy(shop_per_plan, TRIED))
    assert has_trial(shop_per_plan, buy(shop_per_plan, OTHER))


def test_a_trial_of_a_linked_customer_counts(shop: Shop) -> None:
    """By a payment link nothing but the customer names the user; the link may come last."""
    shop.stripe.customers["cus_1"] = a_customer()
    shop.work(a_trial(OTHER, metadata={}))
    assert has_trial(shop, buy(shop, TRIED))
    shop.work(an_event("customer.created", a_customer()))
    assert not has_trial(shop, buy(shop, PRO, cancel_url=f"{SHOP}/x"))
    assert not has_trial(shop, buy(shop, TRIED))


def test_a_trial_of_the_customer_that_we_made_counts(shop: Shop) -> None:
    """Even before an event says whose the customer is."""
    shop.bought(PACKAGE)
    shop.work(a_trial(OTHER, metadata={}, customer="cus_made_1"))
    assert not has_trial(shop, buy(shop, TRIED))


def test_a_trial_that_never_began_does_not_count(shop: Shop) -> None:
    """Its first step failed."""
    shop.work(a_trial(OTHER, status="incomplete_expired"))
    # A deletion would say that it ended, which is not what this one did.
    shop.execute("UPDATE subscriptions SET status = 'incomplete_expired'")
    assert has_trial(shop, buy(shop, TRIED))


def test_a_completed_purchase_with_a_trial_counts(shop: Shop) -> None:
    """The session is all that is known yet; what it began is told later."""
    first = buy(shop, REFILL)
    assert has_trial(shop, first)
    shop.work(an_event("checkout.session.completed", shop.told(first, **PAID)))
    assert not has_trial(shop, buy(shop, TRIED))


def test_an_open_session_with_a_trial_counts_as_long_as_it_is_open(shop: Shop) -> None:
    """Both could be completed."""
    first = buy(shop, REFILL)
    assert not has_trial(shop, buy(shop, TRIED))
    shop.stripe.sessions[first]["status"] = "expired"
    shop.work(an_event("checkout.session.expired", shop.told(first)))
    assert has_trial(shop, buy(shop, OTHER))


def test_a_plan_that_takes_the_place_of_another_keeps_the_trial(shop: Shop) -> None:
    """The session before cannot be completed any more."""
    assert has_trial(shop, buy(shop, TRIED))
    assert has_trial(shop, buy(shop, OTHER))
    assert has_trial(shop, buy(shop, TRIED, cancel_url=f"{SHOP}/x"))


def test_an_open_session_is_not_handed_out_with_a_trial_that_was_had_meanwhile(shop: Shop) -> None:
    """It ends at Stripe, and one without a trial takes its place."""
    first = buy(shop, REFILL)
    shop.work(a_trial(OTHER))
    shop.age()
    second = buy(shop, REFILL)
    assert (has_trial(shop, first), has_trial(shop, second)) == (True, False)
    assert shop.stripe.payable == [second]


def test_what_silence_hid_is_not_made_with_a_trial_that_was_had_meanwhile(shop: Shop) -> None:
    """Nobody was told of it, so nobody can complete it."""
    shop.stripe.faults[SESSION] = ["mute", "mute"]
    assert shop.buy(REFILL, plan_type="token").status_code == 503
    shop.work(a_trial(OTHER))
    assert not has_trial(shop, buy(shop, REFILL))


def test_a_trial_that_was_just_completed_is_not_made_again(shop: Shop) -> None:
    """Stripe says so before its events do; a repeat of the same request buys nothing."""
    first = buy(shop, REFILL, key="order-1")
    shop.stripe.sessions[first] |= PAID
    shop.work(a_trial(OTHER))
    shop.age()
    assert buy(shop, REFILL, key="order-1") == first
    assert shop.stripe.count(SESSION) == 1
