"""Checkout sessions in `setup` mode: the hosted page keeps a card, and nothing is sold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.stripe.server import make_app
from sandbox.stripe.views import Declined, NeedsAuthentication, Paid
from tests.offline_stripe import ASKS, BROKE, DAY, GOOD, SUCCESS, Offline, offline_stripe
from tests.stripe_types import problems_of

LOCAL = "http://127.0.0.1:9000"
UNANSWERED = "setup_intent_authentication_failure"


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def opened(offline: Offline, **more: Any) -> stripe.checkout.Session:
    """Open a session that keeps a card."""
    params: Any = {"mode": "setup", "currency": "usd", "success_url": SUCCESS, **more}
    return offline.client.v1.checkout.sessions.create(params)


def setup_of(offline: Offline, session: str) -> stripe.SetupIntent:
    """The setup intent of a session, which tells it whole."""
    expand: Any = {"expand": ["setup_intent"]}
    setup = offline.client.v1.checkout.sessions.retrieve(session, expand).setup_intent
    assert isinstance(setup, stripe.SetupIntent)
    return setup


def refused(offline: Offline, **params: Any) -> stripe.InvalidRequestError:
    """How a session is refused."""
    with pytest.raises(stripe.InvalidRequestError) as error:
        opened(offline, **params)
    return error.value


def test_an_open_session_has_its_setup_intent_and_sells_nothing(offline: Offline) -> None:
    """Amounts, intent, contract and invoice are null, and the setup intent is told of at once."""
    customer = offline.customer()
    data: Any = {"metadata": {"why": "later"}, "description": "For later"}
    session = opened(offline, customer=customer, setup_intent_data=data)
    drawn = session.to_dict(for_json=True)
    assert not problems_of(drawn)
    sold = ("amount_total", "amount_subtotal", "payment_intent", "subscription", "invoice")
    assert [drawn[name] for name in sold] == [None] * len(sold)
    assert (session.status, session.payment_status) == ("open", "no_payment_required")
    assert (session.currency, session.customer) == ("usd", customer)
    assert session.url == f"{offline.url}/c/pay/{session.id}"
    setup = setup_of(offline, session.id)
    assert not problems_of(setup.to_dict(for_json=True))
    assert (setup.customer, setup.description) == (customer, "For later")
    assert setup.to_dict()["metadata"] == {"why": "later"}
    assert setup.status == "requires_payment_method"
    assert offline.types()[-1] == "setup_intent.created"


def test_a_session_that_sells_has_the_same_members(offline: Offline) -> None:
    """Whoever reads sessions finds every field in each of them."""
    price = offline.price(500, None)
    sells = offline.client.v1.checkout.sessions.retrieve(offline.session(price, offline.customer()))
    assert opened(offline).to_dict().keys() == sells.to_dict().keys()


def test_a_card_is_kept(offline: Offline) -> None:
    """It is the customer's, the session complete, and the buyer on the way back to the shop."""
    customer = offline.customer()
    session = opened(offline, customer=customer, metadata={"a": "1"}).id
    known = len(offline.types())
    said = offline.world.pay(session, GOOD)
    assert said == Paid(SUCCESS.replace("{CHECKOUT_SESSION_ID}", session))
    assert offline.types()[known:] == [
        "payment_method.attached",
        "setup_intent.succeeded",
        "checkout.session.completed",
    ]
    setup = setup_of(offline, session)
    (method,) = offline.client.v1.payment_methods.list({"customer": customer}).data
    assert (setup.status, setup.payment_method) == ("succeeded", method.id)
    (event,) = offline.objects("checkout.session.completed")
    assert not problems_of(event)
    assert (event["status"], event["setup_intent"]) == ("complete", setup.id)
    assert (event["metadata"], event["customer"]) == ({"a": "1"}, customer)
    assert offline.world.pay(session, GOOD) == said
    assert len(offline.objects("checkout.session.completed")) == 1


def test_a_declined_card_leaves_the_session_open_for_the_next(offline: Offline) -> None:
    """The setup intent says why, and is of no fault once another card is kept."""
    session = opened(offline, customer=offline.customer()).id
    assert isinstance(offline.world.pay(session, BROKE), Declined)
    (failed,) = offline.objects("setup_intent.setup_failed")
    assert failed["last_setup_error"]["decline_code"] == "insufficient_funds"
    assert "checkout.session.completed" not in offline.types()
    offline.world.fail_next()
    assert isinstance(offline.world.pay(session, GOOD), Declined)
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    assert setup_of(offline, session).last_setup_error is None


def test_a_card_that_asks_is_refused_left_and_kept(offline: Offline) -> None:
    """A failed answer is told, another card takes the place of one that was asked about."""
    session = opened(offline, customer=offline.customer()).id
    assert isinstance(offline.world.pay(session, ASKS), NeedsAuthentication)
    assert setup_of(offline, session).status == "requires_action"
    assert offline.world.refuse_authentication(session).code == UNANSWERED
    (failed,) = offline.objects("setup_intent.setup_failed")
    assert failed["last_setup_error"]["code"] == UNANSWERED
    assert isinstance(offline.world.pay(session, ASKS), NeedsAuthentication)
    assert isinstance(offline.world.pay(session, BROKE), Declined)
    assert isinstance(offline.world.pay(session, ASKS), NeedsAuthentication)
    assert isinstance(offline.world.pay(session, ASKS, authenticated=True), Paid)
    setup = setup_of(offline, session)
    assert (setup.status, setup.last_setup_error) == ("succeeded", None)
    assert offline.types().count("setup_intent.succeeded") == 1


@pytest.mark.parametrize("creation", [None, "if_required", "always"])
def test_without_a_customer_one_is_made_where_that_was_asked_for(
    offline: Offline, creation: str | None
) -> None:
    """A guest's card is nobody's; a customer who is made by the page has it."""
    more: dict[str, Any] = {"customer_creation": creation} if creation else {}
    session = opened(offline, customer_email="ada@example.com", **more)
    assert (session.customer, session.customer_creation) == (None, creation or "if_required")
    assert isinstance(offline.world.pay(session.id, GOOD), Paid)
    done = offline.client.v1.checkout.sessions.retrieve(session.id)
    made = creation == "always"
    assert (done.customer is not None) is made
    assert ("customer.created" in offline.types()) is made
    assert ("payment_method.attached" in offline.types()) is made
    assert setup_of(offline, session.id).customer == done.customer
    assert done.customer_details is not None
    assert done.customer_details.email == "ada@example.com"


def test_a_bank_account_is_kept_where_the_session_takes_one(offline: Offline) -> None:
    """No money moves, so no bank has to be waited for."""
    customer = offline.customer()
    refuses = opened(offline, customer=customer)
    assert refuses.payment_method_types == ["card"]
    assert isinstance(offline.world.pay_delayed(refuses.id), Declined)
    session = opened(offline, customer=customer, payment_method_types=["sepa_debit"]).id
    assert isinstance(offline.world.pay(session, GOOD), Declined)
    assert isinstance(offline.world.pay_delayed(session), Paid)
    kept = setup_of(offline, session).payment_method
    assert offline.client.v1.payment_methods.retrieve(str(kept)).type == "sepa_debit"
    assert offline.world.dashboard().debits == ()


def test_what_nobody_comes_for_expires(offline: Offline) -> None:
    """After its time, or because the shop says so; the setup intent is canceled with it."""
    early, late = opened(offline).id, opened(offline).id
    assert offline.client.v1.checkout.sessions.expire(early).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="status of expired"):
        offline.client.v1.checkout.sessions.expire(early)
    offline.world.advance(DAY + 1)
    told = offline.client.v1.checkout.sessions.retrieve(late)
    assert (told.status, told.url) == ("expired", None)
    assert offline.types()[-2:] == ["setup_intent.canceled", "checkout.session.expired"]
    assert {setup_of(offline, one).status for one in (early, late)} == {"canceled"}
    assert isinstance(offline.world.pay(late, GOOD), Declined)


def test_only_its_page_finishes_a_setup_intent(offline: Offline) -> None:
    """Stripe lets no request confirm or cancel what a session has begun."""
    setup = setup_of(offline, opened(offline).id).id
    client = offline.client.v1.setup_intents
    with pytest.raises(stripe.InvalidRequestError, match="created by Checkout"):
        client.cancel(setup)
    with pytest.raises(stripe.InvalidRequestError, match="created by Checkout"):
        client.confirm(setup, {"payment_method": "pm_card_visa"})


def test_sessions_of_both_kinds_are_listed_together(offline: Offline) -> None:
    """The newest first, each by the filters that it can have."""
    customer = offline.customer()
    sold = offline.session(offline.price(500, None), customer)
    offline.world.pay(sold, GOOD)
    kept = opened(offline, customer=customer).id
    client = offline.client.v1.checkout.sessions
    intent = client.retrieve(sold).payment_intent
    found: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [kept, sold]),
        ({"customer": customer, "limit": 1}, [kept]),
        ({"status": "open"}, [kept]),
        ({"status": "complete"}, [sold]),
        ({"payment_intent": intent}, [sold]),
        ({"subscription": "sub_none"}, []),
    ]
    for filters, ids in found:
        params: Any = filters
        assert [one.id for one in client.list(params).data] == ids, filters
    assert client.line_items.list(kept).data == []
    assert client.retrieve(kept, {"expand": ["line_items"]}).line_items is not None
    assert client.update(kept, {"metadata": {"a": "1"}}).to_dict()["metadata"] == {"a": "1"}


def test_a_session_is_there_again_after_a_restart(tmp_path: Path) -> None:
    """With what its buyer had begun."""
    path = tmp_path / "stripe.sqlite"
    with offline_stripe(path) as offline:
        session = opened(offline, customer=offline.customer()).id
        offline.world.pay(session, ASKS)
    with offline_stripe(path) as offline:
        assert setup_of(offline, session).status == "requires_action"
        assert isinstance(offline.world.pay(session, ASKS, authenticated=True), Paid)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("line_items", [{"price": "price_x", "quantity": 1}]),
        ("submit_type", "pay"),
        ("allow_promotion_codes", True),
        ("payment_intent_data", {"description": "x"}),
        ("subscription_data", {"trial_period_days": 3}),
        ("invoice_creation", {"enabled": True}),
    ],
)
def test_what_only_a_sale_has_is_refused(offline: Offline, name: str, value: Any) -> None:
    """By name, and nothing is made of it."""
    assert refused(offline, **{name: value}).param == name
    assert offline.types() == []


def test_what_a_session_cannot_do_without_is_asked_for(offline: Offline) -> None:
    """A currency or the kinds of methods, and where to go; a sale's own parameters stay its own."""
    params: Any = {"mode": "setup", "success_url": SUCCESS}
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.checkout.sessions.create(params)
    assert error.value.param == "currency"
    more: Any = {"setup_intent_data": {"description": "x"}}
    with pytest.raises(stripe.InvalidRequestError, match="setup_intent_data"):
        offline.session(offline.price(), offline.customer(), **more)
    sells: Any = {"mode": "payment", "success_url": SUCCESS}
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.checkout.sessions.create(sells)
    assert (error.value.param, error.value.code) == ("line_items", "parameter_missing")


def test_the_page_keeps_a_card(offline: Offline) -> None:
    """It asks for no money; a card that asks goes by its bank, then back to the shop."""
    session = opened(offline, customer=offline.customer(), cancel_url="http://shop.test/account").id
    browser, page = make_app(offline.world).test_client(), f"/c/pay/{session}"
    form = {"card_expiry": "12 / 40", "card_cvc": "123", "card_name": "Ada"}
    own: Any = {"base_url": LOCAL, "headers": {"Origin": LOCAL}}
    shown = browser.get(page, base_url=LOCAL).text
    assert "Nothing is charged now" in shown
    assert 'href="http://shop.test/account"' in shown
    assert "$" not in shown
    wrong = browser.post(page, data={**form, "card_number": "1"}, **own)
    assert (wrong.status_code, 'value="Ada"' in wrong.text) == (422, True)
    declined = browser.post(page, data={**form, "card_number": BROKE}, **own)
    assert (declined.status_code, "insufficient funds" in declined.text) == (402, True)
    asked = browser.post(page, data={**form, "card_number": ASKS}, **own)
    bank = f"/c/authenticate/{session}"
    assert asked.headers["Location"].endswith(bank)
    assert "asks to keep your card" in browser.get(bank, base_url=LOCAL).text
    failed = browser.post(bank, data={"outcome": "fail"}, **own)
    assert failed.status_code == 402
    browser.post(page, data={**form, "card_number": ASKS}, **own)
    done = browser.post(bank, data={"outcome": "complete"}, **own)
    assert done.headers["Location"] == f"http://shop.test/thanks?session={session}"
    assert "The shop has what it asked to keep" in browser.get(page, base_url=LOCAL).text
