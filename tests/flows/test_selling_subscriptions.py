"""Selling what renews, from our API to the balance: field guide §4.3 to §4.6.

Real are our app, its engines, the signed webhooks and their HTTP; Stripe is the offline one.
"""

import pytest

from sandbox.simulate.contract_records import Customer, Subscription
from sandbox.simulate.plans import Plan
from sandbox.stripe.views import Declined, NeedsAuthentication, Paid
from tests.buyers import Buyer
from tests.offline_stripe import ASKS, BROKE, DAY, GOOD, LATER
from tests.shop_floor import BASIC, INLINE_REFILL, PRO, REFILL, YEARLY, Floor


def test_a_first_subscription_is_complete_with_its_tokens_and_its_period(floor: Floor) -> None:
    """4.3: the invoice brings the tokens, the subscription is Stripe's."""
    ada = Buyer(floor, "ada")
    session = ada.buy(PRO)
    found = ada.status(session)
    assert (found["status"], found["tokens_granted"]) == ("complete", 6_000)
    contract = ada.subscription
    assert contract["id"] == found["subscription_id"]
    assert ada.standing == ("active", True)
    assert (contract["plan_id"], contract["plan_type"], contract["quantity"]) == (PRO, "full", 1)
    assert contract["items"] == [{"plan_id": PRO, "quantity": 1}]
    assert contract["current_period_start"] < contract["current_period_end"]
    assert (contract["cancel_at_period_end"], contract["trial_end"]) == (False, None)
    [payment] = ada.payments
    assert payment["id"].startswith("in_")
    assert (payment["subscription_id"], payment["plan_id"]) == (contract["id"], PRO)
    assert (ada.paid, ada.ledger) == ([("paid", 5_000, 6_000)], [("grant", 6_000)])


def test_who_has_a_full_plan_is_led_to_the_portal(floor: Floor) -> None:
    """A second one is refused with the way to change the first; packages are still sold."""
    bob = Buyer(floor, "bob")
    contract = bob.subscribe(BASIC)
    refused = bob.ask(PRO)
    assert refused.status_code == 409
    assert refused.get_json()["code"] == "already_subscribed"
    assert bob.portal(bob.visit()).subscriptions[0].id == contract
    bob.buy(REFILL)
    assert bob.balance == 2_000 + 3_000


def test_what_renews_is_sold_in_the_currency_of_what_renews_already(floor: Floor) -> None:
    """Stripe takes no second one: without a wish the first is kept, another one is refused."""
    eva = Buyer(floor, "eva in euros")
    eva.subscribe(BASIC, currency="eur")
    for plan_id, wish in ((REFILL, {"currency": "usd"}), (INLINE_REFILL, {})):
        refused = eva.ask(plan_id, **wish)
        assert refused.status_code == 409, refused.text
        told = refused.get_json()
        assert (told["code"], told["currency"]) == ("other_currency", "eur")
    eva.buy(REFILL)
    assert eva.balance == 2_000 + 3_000
    assert {payment["currency"] for payment in eva.payments} == {"eur"}


def test_a_renewal_moves_the_period_and_brings_the_tokens_again(floor: Floor) -> None:
    """4.4: one invoice more for each period, by itself."""
    cara = Buyer(floor, "cara")
    cara.subscribe(BASIC)
    first = cara.subscription
    cara.pass_period()
    second = cara.subscription
    assert second["current_period_start"] == first["current_period_end"]
    assert cara.standing == ("active", True)
    cara.pass_period()
    assert cara.paid == [("paid", 2_000, 2_000)] * 3
    assert cara.ledger == [("grant", 2_000)] * 3


def test_a_year_is_one_period(floor: Floor) -> None:
    """Nothing happens in the months of a yearly plan."""
    dan = Buyer(floor, "dan")
    dan.subscribe(YEARLY)
    floor.pass_days(100)
    assert dan.ledger == [("grant", 80_000)]
    dan.pass_period()
    assert dan.ledger == [("grant", 80_000)] * 2


@pytest.mark.parametrize(("currency", "amount"), [("eur", 4_500), ("jpy", 7_000)])
def test_a_plan_renews_in_the_currency_it_was_sold_in(
    floor: Floor, currency: str, amount: int
) -> None:
    """The same tokens for each currency's own price."""
    buyer = Buyer(floor, f"of {currency}")
    buyer.subscribe(PRO, currency=currency)
    buyer.pass_period()
    assert {each["currency"] for each in buyer.payments} == {currency}
    assert buyer.paid == [("paid", amount, 6_000)] * 2


def test_a_price_that_stripe_does_not_have_renews_like_any_other(floor: Floor) -> None:
    """Spelled out at checkout; the subscription's metadata tells the plan ever after."""
    eli = Buyer(floor, "eli")
    eli.subscribe(INLINE_REFILL)
    eli.pass_period()
    assert eli.subscription["plan_id"] == INLINE_REFILL
    assert eli.ledger == [("grant", 500)] * 2


def test_a_renewal_that_fails_is_paid_in_the_portal(floor: Floor) -> None:
    """4.5: past due is still active and brings nothing; the payment brings what was missed."""
    fay = Buyer(floor, "fay")
    contract = fay.subscribe(PRO, LATER)
    fay.pass_period()
    assert fay.standing == ("past_due", True)
    assert fay.paid == [("paid", 5_000, 6_000), ("failed", 5_000, 0)]
    assert fay.balance == 6_000
    assert fay.ask(BASIC).status_code == 409
    visit = fay.visit()
    [owed] = [each for each in fay.portal(visit).invoices if each.payable]
    assert isinstance(floor.stripe.world.pay_invoice(visit, owed.id, BROKE), Declined)
    assert isinstance(floor.stripe.world.pay_invoice(visit, owed.id, GOOD), Paid)
    floor.settle()
    assert (fay.subscription["id"], *fay.standing) == (contract, "active", True)
    assert fay.paid == [("paid", 5_000, 6_000)] * 2
    assert fay.ledger == [("grant", 6_000)] * 2


def test_a_new_card_is_what_the_next_try_takes(floor: Floor) -> None:
    """4.5: led straight to the card, the buyer replaces it, and the retry of tomorrow pays."""
    gus = Buyer(floor, "gus")
    gus.subscribe(BASIC, LATER)
    gus.pass_period()
    visit = gus.visit(flow="payment_method")
    assert gus.portal(visit).flow == "payment_method_update"
    assert floor.stripe.world.set_card(visit, GOOD) is None
    floor.settle()
    assert (gus.standing, gus.balance) == (("past_due", True), 2_000)
    floor.pass_days(1.1)
    assert (gus.standing, gus.balance) == (("active", True), 4_000)


def test_dunning_that_never_succeeds_ends_the_subscription(floor: Floor) -> None:
    """4.5: what was paid stays, what was not brings nothing, and a new start is sold."""
    hal = Buyer(floor, "hal")
    old = hal.subscribe(BASIC, LATER)
    hal.pass_period()
    floor.pass_days(10)
    assert hal.standing == ("canceled", False)
    assert hal.paid == [("paid", 2_000, 2_000), ("failed", 2_000, 0)]
    assert hal.ledger == [("grant", 2_000)]
    session = hal.buy(BASIC)
    assert hal.status(session)["subscription_id"] != old
    assert hal.balance == 4_000


def test_a_late_payment_brings_its_tokens_and_revives_nothing(floor: Floor) -> None:
    """4.5: the old invoice, paid after dunning has ended the subscription."""
    ivo = Buyer(floor, "ivo")
    ivo.subscribe(BASIC, LATER)
    ivo.pass_period()
    floor.pass_days(10)
    visit = ivo.visit()
    [owed] = [each for each in ivo.portal(visit).invoices if each.status == "open"]
    assert isinstance(floor.stripe.world.pay_invoice(visit, owed.id, GOOD), Paid)
    floor.settle()
    assert ivo.standing == ("canceled", False)
    assert ivo.ledger == [("grant", 2_000)] * 2


def test_dunning_may_end_unpaid_instead(floor: Floor) -> None:
    """4.5: not active, but still a subscription, which its payment brings to life again."""
    jan = Buyer(floor, "jan")
    contract = jan.subscribe(BASIC)
    with floor.stripe.world.acting() as act:
        running = act.shop.get(Subscription, contract)
        assert running is not None
        invoice = act.shop.begin_cycle(running)
        act.shop.miss(running, invoice, retry_days=3)
        act.shop.wait(3 * DAY)
        act.shop.give_up(running, invoice, to="unpaid")
    floor.pass_days(0)
    assert (jan.standing, jan.balance) == (("unpaid", False), 2_000)
    assert jan.ask(PRO).status_code == 409
    with floor.stripe.world.acting() as act:
        act.shop.catch_up(running, invoice)
    floor.settle()
    assert (jan.standing, jan.balance) == (("active", True), 4_000)


def test_a_first_payment_may_ask_the_bank_first(floor: Floor) -> None:
    """4.6 at the checkout: there is no subscription before the buyer has authenticated."""
    ida = Buyer(floor, "ida")
    session = ida.checkout(PRO)
    assert isinstance(floor.stripe.world.pay(session, ASKS), NeedsAuthentication)
    floor.settle()
    assert (ida.status(session)["status"], ida.status(session)["subscription_id"]) == ("open", None)
    assert isinstance(floor.stripe.world.pay(session, ASKS, authenticated=True), Paid)
    floor.settle()
    assert (ida.status(session)["status"], ida.ledger) == ("complete", [("grant", 6_000)])


def test_a_subscription_that_is_never_paid_expires_without_any_effect(floor: Floor) -> None:
    """4.6: the seller makes one through Stripe's API for a customer of ours; nobody pays it."""
    jo = Buyer(floor, "jo")
    jo.buy(REFILL)
    with floor.stripe.world.acting() as act:
        customer = act.shop.get(Customer, jo.customer)
        assert customer is not None
        sold = Plan(PRO, "full", "By hand", 6_000, "month", {"usd": 5_000})
        contract = act.shop.fail_first(customer, sold)
    floor.pass_days(0)
    [found] = [each for each in jo.subscriptions if each["id"] == contract.id]
    assert found["status"] == "incomplete_expired"
    assert (found["plan_id"], found["is_active"]) == (PRO, False)
    assert jo.ledger == [("grant", 3_000)]
    assert ("failed", 5_000, 0) in jo.paid
    assert jo.ask(PRO).status_code == 200


def test_a_renewal_that_the_bank_asks_about_waits_for_the_buyer(floor: Floor) -> None:
    """4.6 while nobody looks on: past due until the buyer authenticates in the portal."""
    kim = Buyer(floor, "kim")
    contract = kim.subscribe(PRO)
    with floor.stripe.world.acting() as act:
        running = act.shop.get(Subscription, contract)
        assert running is not None
        invoice = act.shop.begin_cycle(running)
        act.shop.miss(running, invoice, retry_days=3, action=True)
    floor.pass_days(0)
    assert kim.standing == ("past_due", True)
    assert kim.paid == [("paid", 5_000, 6_000), ("failed", 5_000, 0)]
    visit = kim.visit()
    [owed] = [each for each in kim.portal(visit).invoices if each.payable]
    pay = floor.stripe.world.pay_invoice
    assert isinstance(pay(visit, owed.id, ASKS), NeedsAuthentication)
    assert isinstance(pay(visit, owed.id, ASKS, authenticated=True), Paid)
    floor.settle()
    assert (kim.standing, kim.ledger) == (("active", True), [("grant", 6_000)] * 2)


def test_a_first_bank_debit_is_processing_until_the_bank_has_paid(floor: Floor) -> None:
    """4.3: active at once, but nothing is granted before the money is there."""
    leo = Buyer(floor, "leo")
    session = leo.checkout(PRO)
    floor.stripe.world.pay_delayed(session)
    floor.settle()
    assert (leo.status(session)["status"], leo.balance) == ("processing", 0)
    # No event that is handled tells of an invoice that is merely open, so it is not listed yet.
    assert (leo.subscription["status"], leo.paid) == ("active", [])
    floor.pass_days(4)
    found = leo.status(session)
    assert (found["status"], found["tokens_granted"]) == ("complete", 6_000)
    assert leo.paid == [("paid", 5_000, 6_000)]


def test_a_first_bank_debit_that_fails_grants_nothing(floor: Floor) -> None:
    """4.3: Stripe voids the invoice and leaves the subscription as it is."""
    mia = Buyer(floor, "mia")
    session = mia.checkout(PRO)
    floor.stripe.world.pay_delayed(session)
    floor.stripe.world.finish_delayed(session, succeeds=False)
    floor.settle()
    assert mia.status(session)["status"] == "failed"
    assert (mia.paid, mia.ledger) == ([("failed", 5_000, 0)], [])
    assert mia.subscription["status"] == "active"


def test_the_buyer_who_is_back_before_the_webhooks_has_the_plan_and_no_second_one(
    floor: Floor,
) -> None:
    """Stripe is asked; the plan, its tokens and the 409 are there at once, and stay."""
    ned = Buyer(floor, "ned")
    session = ned.checkout(PRO)
    floor.settle()
    with floor.webhooks_held():
        floor.stripe.world.pay(session, GOOD)
        assert ned.ask(BASIC).status_code == 409
        assert ned.status(session)["status"] == "complete"
        before = (ned.subscription, ned.payments, ned.ledger)
        assert ned.ask(BASIC).status_code == 409
    assert (ned.subscription, ned.payments, ned.ledger) == before
    assert ned.ledger == [("grant", 6_000)]
