"""What buyers do to what they subscribed to: field guide §4.7 to §4.10 and §4.13.

Real are our app, its engines, the signed webhooks and their HTTP; Stripe is the offline one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox.simulate.contract_records import Subscription
from sandbox.stripe.agenda import Shop
from sandbox.stripe.views import Declined, Paid
from tests.buyers import PORTAL, Buyer
from tests.offline_stripe import GOOD, LATER
from tests.shop_floor import BASIC, PACK, PRO, TRIED, YEARLY, Floor


def half_of_the_period(buyer: Buyer) -> None:
    """Let half of the running period pass."""
    [running] = buyer.portal(buyer.visit()).subscriptions
    world = buyer.floor.stripe.world
    world.advance((running.period_end - world.now) // 2)
    buyer.floor.settle()


def switch(buyer: Buyer, plan_id: int) -> Paid | Declined:
    """Choose another plan in the portal."""
    visit = buyer.visit(flow="update")
    [running] = buyer.portal(visit).subscriptions
    said = buyer.floor.stripe.world.switch_plan(visit, running.id, buyer.floor.price_of(plan_id))
    buyer.floor.settle()
    return said


@contextmanager
def at_stripe(floor: Floor, contract: str) -> Iterator[tuple[Shop, Subscription]]:
    """Do something to a contract that neither the portal nor the API of the stand-in offers."""
    with floor.stripe.world.acting() as act:
        found = act.shop.get(Subscription, contract)
        assert found is not None
        yield act.shop, found
    floor.settle()


def test_an_upgrade_pays_and_brings_the_difference_of_what_is_left(floor: Floor) -> None:
    """4.7: at half time half the old plan goes and half the new one comes, at once."""
    ada = Buyer(floor, "ada")
    contract = ada.subscribe(BASIC)
    half_of_the_period(ada)
    before = ada.subscription
    assert isinstance(switch(ada, PRO), Paid)
    after = ada.subscription
    assert (after["id"], after["plan_id"]) == (contract, PRO)
    assert after["current_period_end"] == before["current_period_end"]
    assert ada.paid == [("paid", 2_000, 2_000), ("paid", 1_500, 2_000)]
    assert ada.payments[-1]["plan_id"] == PRO
    ada.pass_period()
    assert ada.paid[2:] == [("paid", 5_000, 6_000)]
    assert ada.balance == 2_000 + 2_000 + 6_000


def test_a_downgrade_takes_the_difference_back_and_leaves_its_price_as_credit(
    floor: Floor,
) -> None:
    """4.7: nothing is paid out; the next renewal costs less and brings all its tokens."""
    bob = Buyer(floor, "bob")
    bob.subscribe(PRO)
    half_of_the_period(bob)
    assert isinstance(switch(bob, BASIC), Paid)
    assert bob.subscription["plan_id"] == BASIC
    assert bob.paid == [("paid", 5_000, 6_000), ("paid", 0, -2_000)]
    assert bob.balance == 4_000
    bob.pass_period()
    assert bob.paid[2:] == [("paid", 500, 2_000)]
    assert bob.balance == 6_000


def test_up_and_down_again_mints_nothing(floor: Floor) -> None:
    """4.7: a loop of switches within a moment ends where it began."""
    cara = Buyer(floor, "cara")
    cara.subscribe(BASIC)
    for plan_id in (PRO, BASIC, PRO, BASIC):
        switch(cara, plan_id)
    # A second's share of a plan may be rounded either way.
    assert abs(cara.balance - 2_000) <= 4
    assert cara.subscription["plan_id"] == BASIC


def test_more_of_the_same_plan_brings_its_share(floor: Floor) -> None:
    """4.7: the quantity, raised through Stripe's API, counts now and at each renewal."""
    dan = Buyer(floor, "dan")
    contract = dan.subscribe(BASIC)
    half_of_the_period(dan)
    api = floor.stripe.client.v1.subscriptions
    item = api.retrieve(contract)["items"].data[0].id
    api.update(
        contract,
        {"items": [{"id": item, "quantity": 3}], "proration_behavior": "always_invoice"},
    )
    floor.settle()
    assert dan.subscription["items"] == [{"plan_id": BASIC, "quantity": 3}]
    assert dan.paid[1:] == [("paid", 2_000, 2_000)]
    dan.pass_period()
    assert dan.paid[2:] == [("paid", 6_000, 6_000)]


def test_a_switch_to_another_interval_starts_a_whole_period(floor: Floor) -> None:
    """4.7: the year is granted whole, less what was left of the month."""
    eli = Buyer(floor, "eli")
    eli.subscribe(BASIC)
    half_of_the_period(eli)
    switch(eli, YEARLY)
    assert eli.paid[1:] == [("paid", 49_000, 79_000)]
    assert eli.subscription["plan_id"] == YEARLY


def test_a_switch_that_the_card_does_not_pay_changes_nothing(floor: Floor) -> None:
    """4.7: the old plan stays, with all its tokens."""
    fay = Buyer(floor, "fay")
    fay.subscribe(BASIC, LATER)
    assert isinstance(switch(fay, PRO), Declined)
    assert (fay.subscription["plan_id"], fay.ledger) == (BASIC, [("grant", 2_000)])


def test_a_cancellation_keeps_access_until_the_period_ends(floor: Floor) -> None:
    """4.8: announced, then ended without a renewal; the tokens stay."""
    gus = Buyer(floor, "gus")
    contract = gus.subscribe(PRO)
    visit = gus.visit(flow="cancel")
    assert gus.portal(visit).flow_subscription == contract
    floor.stripe.world.cancel(visit, contract)
    floor.settle()
    canceling = gus.subscription
    assert canceling["cancel_at"] == canceling["current_period_end"]
    assert canceling["canceled_at"] is not None
    assert gus.standing == ("active", True)
    assert gus.ask(BASIC).status_code == 409
    gus.pass_period()
    assert gus.standing == ("canceled", False)
    assert gus.ledger == [("grant", 6_000)]
    assert gus.ask(BASIC).status_code == 200


def test_a_cancellation_that_is_undone_renews(floor: Floor) -> None:
    """4.8: all marks of it are gone."""
    hal = Buyer(floor, "hal")
    contract = hal.subscribe(PRO)
    visit = hal.visit(flow="cancel")
    floor.stripe.world.cancel(visit, contract)
    floor.settle()
    floor.stripe.world.undo_cancel(hal.visit(), contract)
    floor.settle()
    kept = hal.subscription
    assert (kept["cancel_at"], kept["canceled_at"], kept["cancel_at_period_end"]) == (
        None,
        None,
        False,
    )
    hal.pass_period()
    assert hal.ledger == [("grant", 6_000)] * 2


def test_a_cancellation_at_once_ends_the_plan_and_keeps_the_tokens(floor: Floor) -> None:
    """4.8: no refund by itself; a new plan may be bought."""
    ida = Buyer(floor, "ida")
    contract = ida.subscribe(PRO)
    floor.stripe.world.cancel(ida.visit(), contract, now=True)
    floor.settle()
    assert ida.standing == ("canceled", False)
    assert (ida.paid, ida.balance) == ([("paid", 5_000, 6_000)], 6_000)
    ida.buy(BASIC)
    assert ida.balance == 8_000


def test_the_seller_cancels_by_the_boolean(floor: Floor) -> None:
    """4.8: what Stripe's API reports as such is shown as such, and undone."""
    jo = Buyer(floor, "jo")
    contract = jo.subscribe(PRO)
    update = floor.stripe.client.v1.subscriptions.update
    update(contract, {"cancel_at_period_end": True})
    floor.settle()
    assert jo.subscription["cancel_at_period_end"] is True
    update(contract, {"cancel_at_period_end": False})
    floor.settle()
    assert jo.subscription["cancel_at_period_end"] is False


def test_a_pause_of_collection_leaves_the_status_alone(floor: Floor) -> None:
    """4.9: only updates come; access is not touched."""
    kim = Buyer(floor, "kim")
    contract = kim.subscribe(PRO)
    for behavior in ("void", None):
        with at_stripe(floor, contract) as (shop, running):
            shop.pause_collection(running, behavior)
        assert (kim.standing, kim.ledger) == (("active", True), [("grant", 6_000)])


def test_a_real_pause_ends_access_until_it_is_resumed(floor: Floor) -> None:
    """4.9: paused is not active, and still no reason to sell a second plan."""
    leo = Buyer(floor, "leo")
    contract = leo.subscribe(PRO)
    floor.pass_days(2)
    with at_stripe(floor, contract) as (shop, running):
        shop.pause(running)
    assert leo.standing == ("paused", False)
    assert leo.ask(BASIC).status_code == 409
    floor.pass_days(2)
    with at_stripe(floor, contract) as (shop, running):
        shop.resume(running)
    assert (leo.standing, leo.ledger) == (("active", True), [("grant", 6_000)])


def test_a_trial_brings_its_tokens_and_then_the_plan(floor: Floor) -> None:
    """4.10: nothing is paid at first; the first money brings the full tokens."""
    mia = Buyer(floor, "mia")
    session = mia.checkout(TRIED)
    assert mia.page(session).trial_days == 14
    assert isinstance(floor.stripe.world.pay(session, GOOD), Paid)
    floor.settle()
    found = mia.status(session)
    assert (found["status"], found["tokens_granted"]) == ("complete", 500)
    trying = mia.subscription
    assert (mia.standing, trying["trial_end"]) == (("trialing", True), trying["current_period_end"])
    assert mia.paid == [("paid", 0, 500)]
    floor.pass_days(12)
    told = "SELECT status FROM webhook_events WHERE type = 'customer.subscription.trial_will_end'"
    assert [row.status for row in floor.rows(told)] == ["applied"]
    assert mia.balance == 500
    mia.pass_period()
    assert mia.standing == ("active", True)
    assert mia.paid == [("paid", 0, 500), ("paid", 3_000, 4_000)]


def test_a_trial_is_offered_once(floor: Floor) -> None:
    """4.10: who tried and left pays from the first day."""
    ned = Buyer(floor, "ned")
    contract = ned.subscribe(TRIED)
    floor.stripe.world.cancel(ned.visit(), contract, now=True)
    floor.settle()
    assert (ned.standing, ned.balance) == (("canceled", False), 500)
    session = ned.checkout(TRIED)
    assert ned.page(session).trial_days == 0
    floor.stripe.world.pay(session, GOOD)
    floor.settle()
    assert ned.balance == 500 + 4_000


def test_a_trial_whose_first_payment_fails_is_behind_and_then_ends(floor: Floor) -> None:
    """4.10: what was given for the trial stays, the plan's tokens never come."""
    oda = Buyer(floor, "oda")
    oda.subscribe(TRIED, LATER)
    oda.pass_period()
    assert oda.standing == ("past_due", True)
    assert oda.paid == [("paid", 0, 500), ("failed", 3_000, 0)]
    floor.pass_days(10)
    assert (oda.standing, oda.ledger) == (("canceled", False), [("grant", 500)])


@pytest.mark.parametrize("plan_id", [PRO, PACK])
def test_a_customer_who_is_deleted_at_stripe_keeps_the_books_and_may_come_back(
    floor: Floor, plan_id: int
) -> None:
    """4.13: what ran ends, what was bought stays; the next purchase makes another customer."""
    buyer = Buyer(floor, f"deleted, {plan_id}")
    buyer.buy(plan_id)
    before, gone = buyer.ledger, buyer.customer
    floor.stripe.client.v1.customers.delete(gone)
    floor.settle()
    assert buyer.ledger == before
    assert {each["status"] for each in buyer.subscriptions} <= {"canceled"}
    answer = floor.app.test_client().post(PORTAL, json={}, headers=buyer.headers)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "no_stripe_customer")
    buyer.buy(plan_id)
    assert buyer.customer != gone
    assert buyer.ledger == before * 2
