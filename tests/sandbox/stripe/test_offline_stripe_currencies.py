"""Prices of the offline Stripe that are sold in several currencies, and what is sold at them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.stripe.server import make_app
from sandbox.stripe.views import Paid
from tests.offline_stripe import DAY, GOOD, Offline, offline_stripe
from tests.stripe_types import problems_of

EUROS: dict[str, Any] = {"currency_options": {"eur": {"unit_amount": 2700}}}
WHOLE: Any = {"expand": ["currency_options"]}


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def amounts(offline: Offline, price: str) -> dict[str, int]:
    """What a price costs, by currency, as it is told on request."""
    told = offline.client.v1.prices.retrieve(price, WHOLE).to_dict(for_json=True)
    assert not problems_of(told)
    return {code: one["unit_amount"] for code, one in told["currency_options"].items()}


def test_a_price_tells_its_currencies_on_request(offline: Offline) -> None:
    """Its own among them; one is added later, and one amount changed."""
    price = offline.price(2900, **EUROS)
    assert amounts(offline, price) == {"usd": 2900, "eur": 2700}
    (made,) = offline.objects("price.created")
    assert "currency_options" not in made
    more: Any = {"currency_options": {"EUR": {"unit_amount": 2500}, "gbp": {"unit_amount": 2000}}}
    offline.client.v1.prices.update(price, more)
    assert amounts(offline, price) == {"usd": 2900, "eur": 2500, "gbp": 2000}
    assert [one.id for one in offline.client.v1.prices.list().data] == [price]


def test_a_session_sells_in_the_currency_that_it_names(offline: Offline) -> None:
    """Amounts, intent and charge are in it; the price that is told is the price itself."""
    price = offline.price(2900, None, **EUROS)
    session = offline.session(price, offline.customer(), currency="eur")
    browser = make_app(offline.world).test_client()
    assert "€27.00" in browser.get(f"/c/pay/{session}", base_url="http://127.0.0.1:9000").text
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    params: Any = {"expand": ["line_items", "payment_intent"]}
    told = offline.client.v1.checkout.sessions.retrieve(session, params)
    assert (told.amount_total, told.currency) == (2700, "eur")
    assert isinstance(told.payment_intent, stripe.PaymentIntent)
    assert (told.payment_intent.amount, told.payment_intent.currency) == (2700, "eur")
    assert told.line_items is not None
    (line,) = told.line_items.data
    assert line.price is not None
    assert (line.amount_total, line.currency, line.price.id, line.price.currency) == (
        2700,
        "eur",
        price,
        "usd",
    )
    assert not problems_of(line.to_dict(for_json=True))


def test_a_contract_stays_in_its_currency(tmp_path: Path) -> None:
    """Over a restart and a change of amount it renews as it was signed; lists find it."""
    path = tmp_path / "stripe.sqlite"
    with offline_stripe(path) as offline:
        price = offline.price(2900, **EUROS)
        contract = offline.subscription(price, offline.customer(), currency="eur")
    with offline_stripe(path) as offline:
        client = offline.client.v1
        client.prices.update(price, {"currency_options": {"eur": {"unit_amount": 9900}}})
        offline.world.advance(32 * DAY)
        told = client.subscriptions.retrieve(contract)
        assert (told.currency, told["items"].data[0].price.id) == ("eur", price)
        assert [one.id for one in client.subscriptions.list({"price": price}).data] == [contract]
        renewed, signed = client.invoices.list().data
        for invoice in (renewed, signed):
            assert (invoice.amount_paid, invoice.currency) == (2700, "eur")
            pricing = invoice.lines.data[0].pricing
            assert pricing is not None
            assert pricing.price_details is not None
            assert pricing.price_details.price == price
            assert not problems_of(invoice.to_dict(for_json=True))


def test_a_contract_moves_to_what_is_sold_in_its_currency(offline: Offline) -> None:
    """In the portal and by a request; a price in other currencies is none of its options."""
    price, customer = offline.price(2900, **EUROS), offline.customer()
    contract = offline.subscription(price, customer, currency="eur")
    dear = offline.price(5800, currency_options={"eur": {"unit_amount": 5400}})
    dollars, visit = offline.price(100), offline.portal(customer)
    found = offline.world.portal(visit)
    assert found is not None
    (option,) = found.subscriptions[0].options
    assert option.amount_minor == 5400
    assert isinstance(offline.world.switch_plan(visit, contract, option.price_id), Paid)
    (item,) = offline.client.v1.subscriptions.retrieve(contract)["items"].data
    assert item.price.id == dear
    back: Any = {"items": [{"id": item.id, "price": price}]}
    assert offline.client.v1.subscriptions.update(contract, back).currency == "eur"
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.subscriptions.update(
            contract, {"items": [{"id": item.id, "price": dollars}]}
        )
    with pytest.raises(stripe.InvalidRequestError, match="another currency"):
        offline.client.v1.subscription_schedules.create({"from_subscription": contract})


def test_a_contract_is_signed_in_a_currency_over_the_api(offline: Offline) -> None:
    """With what is billed beside it; one that some price lacks is refused by name."""
    customer, price = offline.customer(), offline.price(2900, **EUROS)
    fee = offline.price(500, None, currency_options={"eur": {"unit_amount": 450}})
    default: Any = {"invoice_settings": {"default_payment_method": "pm_card_visa"}}
    offline.client.v1.customers.update(customer, default)
    params: Any = {"customer": customer, "items": [{"price": price}], "currency": "eur"}
    beside: Any = {**params, "add_invoice_items": [{"price": fee}]}
    assert offline.client.v1.subscriptions.create(beside).currency == "eur"
    assert offline.client.v1.invoices.list().data[0].amount_paid == 2700 + 450
    with pytest.raises(stripe.InvalidRequestError, match="expected currency: `gbp`"):
        offline.client.v1.subscriptions.create(params | {"currency": "gbp"})
    with pytest.raises(stripe.InvalidRequestError, match="expected currency: `gbp`") as error:
        offline.session(price, customer, currency="gbp")
    assert error.value.param == "currency"
    once = {"price": offline.price(100, None), "quantity": 1}
    lines = [{"price": price, "quantity": 1}, once]
    with pytest.raises(stripe.InvalidRequestError, match="only supports `usd`"):
        offline.session(price, offline.customer("other"), currency="eur", line_items=lines)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"usd": {"unit_amount": 1}}, "currency_options[usd]"),
        ({"euro": {"unit_amount": 1}}, "currency_options[euro]"),
        ({"eur": {"x": 1}}, "currency_options[eur][x]"),
        ({"eur": {"unit_amount": -1}}, "currency_options[eur][unit_amount]"),
        ("eur", "currency_options"),
    ],
)
def test_currencies_that_make_no_sense_are_refused(
    offline: Offline, options: Any, param: str
) -> None:
    """When a price is made, and when it is changed."""
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.price(2900, currency_options=options)
    assert error.value.param == param
    price = offline.price(2900)
    changes: Any = {"currency_options": options}
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.prices.update(price, changes)
    assert error.value.param == param
    assert amounts(offline, price) == {"usd": 2900}
