"""Paying over the API: payment methods, payment intents and setup intents, through the real SDK."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.offline_stripe import DAY, Offline, offline_stripe
from tests.stripe_types import problems_of


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def pay(offline: Offline, card: str = "pm_card_visa", **more: Any) -> stripe.PaymentIntent:
    """Try to pay 20 dollars at once."""
    params: Any = {"amount": 2000, "currency": "usd", "payment_method": card, "confirm": True}
    params |= more
    return offline.client.v1.payment_intents.create(params)


def test_an_intent_is_paid_step_by_step(offline: Offline) -> None:
    """Made, given a card, confirmed; the charge shows that card and no customer."""
    client = offline.client.v1
    intent = client.payment_intents.create({"amount": 2000, "currency": "usd"})
    assert intent.status == "requires_payment_method"
    intent = client.payment_intents.update(intent.id, {"payment_method": "pm_card_mastercard"})
    assert intent.status == "requires_confirmation"
    intent = client.payment_intents.confirm(intent.id)
    assert (intent.status, intent.amount_received, intent.customer) == ("succeeded", 2000, None)
    charge = client.charges.retrieve(str(intent.latest_charge))
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.brand == "mastercard"
    assert not problems_of(charge.to_dict(for_json=True))
    assert not problems_of(intent.to_dict(for_json=True))
    kinds = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    assert offline.types() == kinds


@pytest.mark.parametrize(
    ("name", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
    ],
)
def test_a_declined_card_says_why(
    offline: Offline, name: str, code: str, decline_code: str | None
) -> None:
    """402 with code, the bank's word, the intent and the failed charge; the intent stays open."""
    with pytest.raises(stripe.CardError) as error:
        pay(offline, name)
    told = error.value.error
    assert told is not None
    assert (error.value.http_status, told.code, told.decline_code) == (402, code, decline_code)
    assert told.doc_url == f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
    assert told.payment_intent is not None
    intent = offline.client.v1.payment_intents.retrieve(told.payment_intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == code
    charge = offline.client.v1.charges.retrieve(str(told.charge))
    assert (charge.status, charge.failure_code) == ("failed", code)
    paid = offline.client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"


def test_a_card_that_asks_leads_to_a_page(offline: Offline) -> None:
    """`requires_action` with an address; off session the bank's question is a decline."""
    intent = pay(offline, "pm_card_authenticationRequired", return_url="http://shop.test/back")
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    assert (intent.next_action.redirect_to_url.url or "").startswith(offline.url)
    with pytest.raises(stripe.CardError) as error:
        pay(offline, "pm_card_authenticationRequired", off_session=True)
    assert error.value.error is not None
    assert error.value.error.decline_code == "authentication_required"


def test_held_money_is_captured_in_part_or_given_up(offline: Offline) -> None:
    """Manual capture: less than was held is taken once; what is canceled is free."""
    client = offline.client.v1.payment_intents
    held = pay(offline, capture_method="manual")
    assert (held.status, held.amount_capturable) == ("requires_capture", 2000)
    taken = client.capture(held.id, {"amount_to_capture": 1500})
    assert (taken.status, taken.amount_received) == ("succeeded", 1500)
    given_up = pay(offline, capture_method="manual")
    reason: Any = {"cancellation_reason": "abandoned"}
    canceled = client.cancel(given_up.id, reason)
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.confirm(given_up.id)
    assert error.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("amount", "currency"), [(49, "usd"), (29, "gbp"), (49, "jpy"), (0, "usd")]
)
def test_too_little_is_refused(offline: Offline, amount: int, currency: str) -> None:
    """Stripe's minimum is by currency."""
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.payment_intents.create({"amount": amount, "currency": currency})
    assert (error.value.code, error.value.param) == ("amount_too_small", "amount")


def test_a_method_is_made_attached_and_detached(offline: Offline) -> None:
    """By test number or token; a detached one is used no more; one customer has it."""
    client, customer = offline.client.v1, offline.customer()
    card: Any = {"type": "card", "card": {"token": "tok_mastercard"}}
    method = client.payment_methods.create(card)
    client.payment_methods.attach(method.id, {"customer": customer})
    (listed,) = client.customers.payment_methods.list(customer).data
    assert not problems_of(listed.to_dict(for_json=True))
    with pytest.raises(stripe.InvalidRequestError):
        client.payment_methods.attach(method.id, {"customer": offline.customer("other")})
    with pytest.raises(stripe.InvalidRequestError):
        pay(offline, method.id, customer=offline.customer("other"))
    assert pay(offline, method.id, customer=customer).status == "succeeded"
    client.payment_methods.detach(method.id)
    assert client.customers.payment_methods.list(customer).data == []
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        pay(offline, method.id, customer=customer)
    with pytest.raises(stripe.CardError) as error:
        client.payment_methods.create({"type": "card", "card": {"number": "4111111111111111"}})
    assert error.value.code == "incorrect_number"


def test_a_setup_intent_keeps_a_card(offline: Offline) -> None:
    """Succeeds and attaches; a declined card is told and leaves it open."""
    client, customer = offline.client.v1, offline.customer()
    setup = client.setup_intents.create(
        {"customer": customer, "payment_method": "pm_card_visa", "confirm": True}
    )
    assert setup.status == "succeeded"
    assert not problems_of(setup.to_dict(for_json=True))
    assert [one.id for one in client.payment_methods.list({"customer": customer}).data] == [
        setup.payment_method
    ]
    with pytest.raises(stripe.CardError) as error:
        client.setup_intents.create(
            {"customer": customer, "payment_method": "pm_card_chargeDeclined", "confirm": True}
        )
    assert error.value.code == "card_declined"
    assert [one.status for one in client.setup_intents.list({"customer": customer}).data] == [
        "requires_payment_method",
        "succeeded",
    ]


def test_a_one_time_payment_leaves_the_card_of_a_contract(offline: Offline) -> None:
    """Whoever buys a package with another card renews with the one of the contract."""
    client, customer = offline.client.v1, offline.customer()
    contract = offline.subscription(offline.price(), customer)
    before = client.subscriptions.retrieve(contract).default_payment_method
    package = offline.session(offline.price(500, interval=None), customer)
    offline.world.pay(package, "5555555555554444")
    assert client.subscriptions.retrieve(contract).default_payment_method == before
    charge = client.charges.list({"limit": 1}).data[0]
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == "4444"
    offline.world.advance(32 * DAY)
    renewal = client.charges.list({"limit": 1}).data[0]
    assert renewal.payment_method == before
