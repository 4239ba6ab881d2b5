"""Billing over the API: contracts signed, changed, paused; invoices drafted and previewed."""

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


def payer(offline: Offline, card: str = "pm_card_visa") -> str:
    """A customer who has a card that is charged without a page."""
    customer = offline.customer()
    settings: Any = {"invoice_settings": {"default_payment_method": card}}
    offline.client.v1.customers.update(customer, settings)
    return customer


def sign(offline: Offline, customer: str, price: str, **more: Any) -> stripe.Subscription:
    """Sign a contract over the API."""
    params: Any = {"customer": customer, "items": [{"price": price}], **more}
    return offline.client.v1.subscriptions.create(params)


def paid(offline: Offline, contract: str) -> list[int]:
    """What the paid invoices of a contract came to, oldest first."""
    query: Any = {"subscription": contract, "status": "paid", "limit": 100}
    return [one.total for one in reversed(offline.client.v1.invoices.list(query).data)]


def test_a_contract_is_signed_and_renews(offline: Offline) -> None:
    """Two items, one bill; the first is paid at once, the next a month later."""
    items: Any = {
        "items": [{"price": offline.price(1000), "quantity": 2}, {"price": offline.price(500)}]
    }
    contract = sign(offline, payer(offline), offline.price(), **items)
    assert contract.status == "active"
    assert not problems_of(contract.to_dict(for_json=True))
    offline.world.advance(32 * DAY)
    assert paid(offline, contract.id) == [2500, 2500]


def test_without_a_card_nothing_is_signed(offline: Offline) -> None:
    """Stripe says what is missing; a trial needs no card."""
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        sign(offline, offline.customer(), offline.price())
    trial = sign(offline, offline.customer(), offline.price(), trial_period_days=7)
    assert trial.status == "trialing"


def test_a_declined_first_payment_leaves_it_incomplete_for_a_day(offline: Offline) -> None:
    """Incomplete, then expired with its invoice void; or refused where that is asked."""
    customer = payer(offline, "pm_card_chargeCustomerFail")
    contract = sign(offline, customer, offline.price())
    assert contract.status == "incomplete"
    offline.world.advance(DAY)
    contract = offline.client.v1.subscriptions.retrieve(contract.id)
    assert contract.status == "incomplete_expired"
    assert offline.types().count("invoice.voided") == 1
    with pytest.raises(stripe.CardError):
        sign(offline, customer, offline.price(), payment_behavior="error_if_incomplete")


def test_a_contract_waits_for_its_first_payment(offline: Offline) -> None:
    """`default_incomplete`: the intent of the invoice, once confirmed, makes it active."""
    contract = sign(offline, payer(offline), offline.price(), payment_behavior="default_incomplete")
    assert contract.status == "incomplete"
    client = offline.client.v1
    query: Any = {"invoice": str(contract.latest_invoice)}
    (payment,) = client.invoice_payments.list(query).data
    intent = str(payment.payment.payment_intent)
    client.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    assert client.subscriptions.retrieve(contract.id).status == "active"
    assert paid(offline, contract.id) == [2900]


@pytest.mark.parametrize("behavior", ["always_invoice", "create_prorations", "none"])
def test_a_change_is_billed_as_it_says(offline: Offline, behavior: str) -> None:
    """At once, with the next bill, or not at all; the next bill has the new price."""
    contract = sign(offline, payer(offline), offline.price(3000))
    offline.world.advance(15 * DAY)
    item = contract["items"].data[0].id
    dear = offline.price(6000)
    change: Any = {"items": [{"id": item, "price": dear}], "proration_behavior": behavior}
    offline.client.v1.subscriptions.update(contract.id, change)
    now = paid(offline, contract.id)
    pending: Any = {"pending": True, "customer": str(contract.customer)}
    waiting = offline.client.v1.invoice_items.list(pending).data
    offline.world.advance(20 * DAY)
    first, *rest = paid(offline, contract.id)
    assert first == 3000
    match behavior:
        case "always_invoice":
            assert len(now) == 2
            assert 1300 < rest[0] < 1700
            assert rest[1:] == [6000]
        case "create_prorations":
            assert sorted(one.amount > 0 for one in waiting) == [False, True]
            assert all(one.proration for one in waiting)
            assert not [line for one in waiting for line in problems_of(one.to_dict(for_json=True))]
            assert len(rest) == 1
            assert 7300 < rest[0] < 7700
        case _:
            assert (waiting, rest) == ([], [6000])


def test_items_come_and_go(offline: Offline) -> None:
    """A second item, more of it, and away again; the last one must stay."""
    client: Any = offline.client.v1.subscriptions
    contract = sign(offline, payer(offline), offline.price(3000))
    seat = offline.price(1000)
    never: Any = {"proration_behavior": "none"}
    contract = client.update(contract.id, {"items": [{"price": seat, "quantity": 2}], **never})
    first, second = contract["items"].data
    contract = client.update(contract.id, {"items": [{"id": second.id, "quantity": 5}], **never})
    offline.world.advance(32 * DAY)
    assert paid(offline, contract.id) == [3000, 8000]
    contract = client.update(contract.id, {"items": [{"id": first.id, "deleted": True}], **never})
    (left,) = contract["items"].data
    assert (left.id, left.quantity) == (second.id, 5)
    with pytest.raises(stripe.InvalidRequestError, match="at least one active item"):
        client.update(contract.id, {"items": [{"id": second.id, "deleted": True}]})


@pytest.mark.parametrize(
    ("behavior", "status"),
    [("void", "void"), ("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible")],
)
def test_collection_is_paused_and_goes_on(offline: Offline, behavior: str, status: str) -> None:
    """What is billed meanwhile is void, a draft, or given up; after that money is collected."""
    client = offline.client.v1
    contract = sign(offline, payer(offline), offline.price(3000))
    resumes = offline.world.now + 40 * DAY
    pause: Any = {"pause_collection": {"behavior": behavior, "resumes_at": resumes}}
    told = client.subscriptions.update(contract.id, pause)
    assert told.pause_collection is not None
    offline.world.advance(35 * DAY)
    newest = client.invoices.list({"subscription": contract.id}).data[0]
    assert newest.status == status
    offline.world.advance(30 * DAY)
    assert client.subscriptions.retrieve(contract.id).pause_collection is None
    assert client.invoices.list({"subscription": contract.id}).data[0].status == "paid"


def test_a_trial_ends_when_it_is_told_to(offline: Offline) -> None:
    """`now` begins the first period that is paid."""
    contract = sign(offline, payer(offline), offline.price(3000), trial_period_days=30)
    ended = offline.client.v1.subscriptions.update(contract.id, {"trial_end": "now"})
    assert ended.status == "active"
    assert paid(offline, contract.id) == [0, 3000]


def test_an_end_gives_back_what_is_left(offline: Offline) -> None:
    """Prorated and billed: the credit is the customer's from then on."""
    contract = sign(offline, payer(offline), offline.price(3000))
    offline.world.advance(15 * DAY)
    ended = offline.client.v1.subscriptions.cancel(
        contract.id, {"prorate": True, "invoice_now": True}
    )
    assert ended.status == "canceled"
    balance = offline.client.v1.customers.retrieve(str(contract.customer)).balance
    assert balance is not None
    assert -1700 < balance < -1300


def test_an_invoice_is_drafted_and_paid(offline: Offline) -> None:
    """Items by amount and by price, then finalized, then paid; drafts can be thrown away."""
    client: Any = offline.client.v1
    customer = payer(offline)
    draft = client.invoices.create({"customer": customer, "metadata": {"order": "7"}})
    item: Any = {"customer": customer, "invoice": draft.id, "amount": 1500, "currency": "usd"}
    client.invoice_items.create({**item, "description": "Work"})
    named: Any = {"customer": customer, "pricing": {"price": offline.price(250, interval=None)}}
    waiting = client.invoice_items.create({**named, "quantity": 2})
    final = client.invoices.finalize_invoice(draft.id)
    assert (final.status, final.total) == ("open", 1500)
    assert final.to_dict()["metadata"] == {"order": "7"}
    assert not problems_of(final.to_dict(for_json=True))
    assert client.invoices.pay(draft.id).status == "paid"
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.invoices.finalize_invoice(draft.id)
    assert error.value.code == "invoice_not_editable"
    include: Any = {"customer": customer, "pending_invoice_items_behavior": "include"}
    other = client.invoices.create(include)
    assert (other.total, client.invoice_items.retrieve(waiting.id).invoice) == (500, other.id)
    assert client.invoices.delete(other.id).to_dict()["deleted"] is True
    assert client.invoice_items.retrieve(waiting.id).invoice is None
    assert client.invoice_items.delete(waiting.id).to_dict()["deleted"] is True


def test_an_invoice_is_sent_and_paid_elsewhere(offline: Offline) -> None:
    """It falls due, is sent, and the money comes by another way."""
    client: Any = offline.client.v1
    customer = offline.customer()
    terms: Any = {"collection_method": "send_invoice", "days_until_due": 14}
    draft = client.invoices.create({"customer": customer, **terms})
    line: Any = {"customer": customer, "invoice": draft.id, "amount": 900, "currency": "usd"}
    client.invoice_items.create(line)
    sent = client.invoices.send_invoice(draft.id)
    assert sent.due_date is not None
    assert sent.status == "open"
    assert client.invoices.pay(draft.id, {"paid_out_of_band": True}).status == "paid"
    assert "invoice.sent" in offline.types()
    assert client.charges.list().data == []


def test_a_preview_leaves_no_trace(offline: Offline) -> None:
    """The next bill, and that of a change at once; nothing has happened afterwards."""
    client = offline.client.v1
    contract = sign(offline, payer(offline), offline.price(3000))
    known, now = offline.types(), offline.world.now
    preview = client.invoices.create_preview({"subscription": contract.id})
    assert (preview.total, preview.status) == (3000, "draft")
    item = contract["items"].data[0].id
    details: Any = {
        "items": [{"id": item, "price": offline.price(6000)}],
        "proration_behavior": "always_invoice",
    }
    known = offline.types()
    change: Any = {"subscription": contract.id, "subscription_details": details}
    assert client.invoices.create_preview(change).total in range(2990, 3001)
    assert offline.types() == known
    assert offline.world.now - now < 60
    assert paid(offline, contract.id) == [3000]


def test_a_test_clock_takes_its_customers_through_months(offline: Offline) -> None:
    """Advanced by a month a renewal is paid; further than two periods at once is refused."""
    client = offline.client.v1
    now = offline.world.now
    clock = client.test_helpers.test_clocks.create({"frozen_time": now, "name": "months"})
    customer = client.customers.create({"email": "a@example.com", "test_clock": clock.id})
    default: Any = {"invoice_settings": {"default_payment_method": "pm_card_visa"}}
    client.customers.update(customer.id, default)
    contract = sign(offline, customer.id, offline.price(3000))
    with pytest.raises(stripe.InvalidRequestError, match="more than two intervals"):
        client.test_helpers.test_clocks.advance(clock.id, {"frozen_time": now + 90 * DAY})
    told = client.test_helpers.test_clocks.advance(clock.id, {"frozen_time": now + 35 * DAY})
    assert told.status == "advancing"
    assert not problems_of(told.to_dict(for_json=True))
    told = client.test_helpers.test_clocks.retrieve(clock.id)
    assert (told.status, told.frozen_time) == ("ready", now + 35 * DAY)
    assert paid(offline, contract.id) == [3000, 3000]
    with pytest.raises(stripe.InvalidRequestError, match="only goes forward"):
        client.test_helpers.test_clocks.create({"frozen_time": now})
    client.test_helpers.test_clocks.delete(clock.id)
    assert client.subscriptions.retrieve(contract.id).status == "canceled"


def test_tax_rates_are_kept(offline: Offline) -> None:
    """Made, changed, listed."""
    rates: Any = offline.client.v1.tax_rates
    params: Any = {"display_name": "VAT", "percentage": "19.5", "inclusive": False}
    rate = rates.create({**params, "country": "DE"})
    assert (rate.percentage, rate.country) == (19.5, "DE")
    assert not problems_of(rate.to_dict(for_json=True))
    rates.update(rate.id, {"active": False})
    assert rates.list({"active": True}).data == []
    assert [one.id for one in rates.list().data] == [rate.id]


def test_a_customer_has_an_address(offline: Offline) -> None:
    """Address, shipping, languages and exemption are kept as they were said."""
    client = offline.client.v1.customers
    params: Any = {
        "address": {"city": "Köln", "country": "DE"},
        "shipping": {"name": "Ada", "address": {"city": "Bonn"}},
        "preferred_locales": ["de"],
        "tax_exempt": "reverse",
        "payment_method": "pm_card_visa",
        "invoice_settings": {"default_payment_method": "pm_card_mastercard"},
    }
    customer = client.create(params)
    assert not problems_of(customer.to_dict(for_json=True))
    assert customer.address is not None
    assert (customer.address.city, customer.tax_exempt) == ("Köln", "reverse")
    assert len(client.payment_methods.list(customer.id).data) == 2
