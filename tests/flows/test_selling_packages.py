"""Selling what is bought once, from our API to the balance: field guide §4.1 and §4.2.

Real are our app, its engines, the signed webhooks and their HTTP; Stripe is the offline one.
"""

import pytest

from sandbox.stripe.views import Declined, NeedsAuthentication, Paid
from tests.buyers import CHECKOUT, Buyer
from tests.ingest.builders import as_user
from tests.offline_stripe import ASKS, BROKE, GOOD
from tests.shop_floor import INLINE_PACK, PACK, SHOP, Floor


def test_a_package_bought_by_card_is_complete_when_the_buyer_is_back(floor: Floor) -> None:
    """4.1: open, then paid once, whatever number of events report it; for its buyer only."""
    ada = Buyer(floor, "ada")
    session = ada.checkout(PACK)
    assert ada.status(session)["status"] == "open"
    said = floor.stripe.world.pay(session, GOOD)
    assert said == Paid(f"{SHOP}/bought?session_id={session}")
    floor.settle()
    assert ada.status(session) == {
        "status": "complete",
        "plan_id": PACK,
        "tokens_granted": 1_000,
        "subscription_id": None,
    }
    [payment] = ada.payments
    assert (payment["id"], payment["currency"], payment["plan_id"]) == (session, "usd", PACK)
    assert (ada.paid, ada.ledger) == ([("paid", 500, 1_000)], [("grant", 1_000)])
    client = floor.app.test_client()
    assert client.get(f"{CHECKOUT}{session}/", headers=as_user("eve")).status_code == 404
    assert Buyer(floor, "eve").payments == []


def test_a_double_click_is_one_purchase_and_buying_again_is_another(floor: Floor) -> None:
    """The open session is handed out again; a paid one is not."""
    bob = Buyer(floor, "bob")
    first = bob.buy(PACK)
    second, again = bob.checkout(PACK), bob.checkout(PACK)
    assert (first != second, second == again) == (True, True)
    floor.stripe.world.pay(second, GOOD)
    floor.settle()
    assert bob.ledger == [("grant", 1_000), ("grant", 1_000)]
    assert {each["id"] for each in bob.payments} == {first, second}


def test_a_card_that_is_declined_leaves_the_session_open_for_another(floor: Floor) -> None:
    """A failed attempt is neither a payment nor an end."""
    cara = Buyer(floor, "cara")
    session = cara.checkout(PACK)
    assert isinstance(floor.stripe.world.pay(session, BROKE), Declined)
    floor.settle()
    assert (cara.status(session)["status"], cara.payments) == ("open", [])
    assert isinstance(floor.stripe.world.pay(session, GOOD), Paid)
    floor.settle()
    assert (cara.status(session)["status"], cara.balance) == ("complete", 1_000)


def test_a_bank_that_asks_the_buyer_is_waited_for(floor: Floor) -> None:
    """Refused authentication leaves the session open; authenticated, it is paid once."""
    dan = Buyer(floor, "dan")
    session = dan.checkout(PACK)
    assert isinstance(floor.stripe.world.pay(session, ASKS), NeedsAuthentication)
    floor.stripe.world.refuse_authentication(session)
    floor.settle()
    assert (dan.status(session)["status"], dan.balance) == ("open", 0)
    assert isinstance(floor.stripe.world.pay(session, ASKS, authenticated=True), Paid)
    floor.settle()
    assert (dan.status(session)["status"], dan.ledger) == ("complete", [("grant", 1_000)])


def test_a_bank_debit_is_pending_until_the_bank_has_paid(floor: Floor) -> None:
    """4.2: what was completed unpaid counts nothing until days later, and then once."""
    eli = Buyer(floor, "eli")
    session = eli.checkout(PACK)
    assert isinstance(floor.stripe.world.pay_delayed(session), Paid)
    floor.settle()
    found = eli.status(session)
    assert (found["status"], found["tokens_granted"]) == ("processing", 0)
    assert (eli.paid, eli.ledger) == ([("pending", 500, 0)], [])
    floor.pass_days(4)
    found = eli.status(session)
    assert (found["status"], found["tokens_granted"]) == ("complete", 1_000)
    assert (eli.paid, eli.ledger) == ([("paid", 500, 1_000)], [("grant", 1_000)])


def test_a_bank_debit_that_fails_is_shown_as_failed_and_can_be_bought_again(floor: Floor) -> None:
    """4.2: nothing was granted, so nothing is taken back."""
    fay = Buyer(floor, "fay")
    session = fay.checkout(PACK)
    floor.stripe.world.pay_delayed(session)
    floor.stripe.world.finish_delayed(session, succeeds=False)
    floor.settle()
    found = fay.status(session)
    assert (found["status"], found["tokens_granted"]) == ("failed", 0)
    assert (fay.paid, fay.ledger) == ([("failed", 500, 0)], [])
    assert fay.buy(PACK) != session
    assert (fay.balance, len(fay.payments)) == (1_000, 2)


def test_a_session_that_nobody_pays_expires_and_the_next_is_a_new_one(floor: Floor) -> None:
    """After a day Stripe closes it; it is no payment."""
    gus = Buyer(floor, "gus")
    session = gus.checkout(PACK)
    floor.pass_days(1.1)
    assert gus.status(session)["status"] == "expired"
    assert gus.payments == []
    assert isinstance(floor.stripe.world.pay(session, GOOD), Declined)
    assert gus.buy(PACK) != session
    assert gus.balance == 1_000


@pytest.mark.parametrize(("currency", "amount"), [("eur", 460), ("jpy", 800)])
def test_a_package_is_sold_in_the_currency_that_is_asked_for(
    floor: Floor, currency: str, amount: int
) -> None:
    """The catalogue's price of that currency, a currency without minor units too."""
    buyer = Buyer(floor, f"of {currency}")
    session = buyer.checkout(PACK, currency=currency.upper())
    page = buyer.page(session)
    assert (page.amount_minor, page.currency) == (amount, currency)
    floor.stripe.world.pay(session, GOOD)
    floor.settle()
    [payment] = buyer.payments
    assert (payment["currency"], payment["amount"], payment["tokens"]) == (currency, amount, 1_000)
    assert buyer.ask(PACK, currency="gbp").status_code == 422


@pytest.mark.parametrize(("currency", "amount"), [("usd", 700), ("jpy", 900)])
def test_a_price_that_stripe_does_not_have_is_spelled_out_and_worth_the_same(
    floor: Floor, currency: str, amount: int
) -> None:
    """Without synchronised prices a sale differs in nothing that its buyer sees."""
    buyer = Buyer(floor, f"inline {currency}")
    session = buyer.buy(INLINE_PACK, currency=currency)
    [payment] = buyer.payments
    assert (payment["id"], payment["plan_id"]) == (session, INLINE_PACK)
    assert (payment["currency"], payment["amount"]) == (currency, amount)
    assert buyer.ledger == [("grant", 700)]


def test_the_buyer_who_is_back_before_the_webhooks_sees_the_purchase_complete(
    floor: Floor,
) -> None:
    """The status asks Stripe, its answer takes effect; the late events change nothing more."""
    hal = Buyer(floor, "hal")
    session = hal.checkout(PACK)
    floor.settle()
    with floor.webhooks_held():
        floor.stripe.world.pay(session, GOOD)
        found = hal.status(session)
        assert (found["status"], found["tokens_granted"]) == ("complete", 1_000)
        before = (hal.payments, hal.ledger)
    assert (hal.payments, hal.ledger) == before
    [(sources,)] = floor.rows(
        "SELECT count(*) FROM webhook_events WHERE id LIKE :fetched", fetched=f"fetched_{session}%"
    )
    assert sources == 1
