"""Customers' balances and tax numbers in the offline Stripe, through the real SDK."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.offline_stripe import Offline, offline_stripe
from tests.stripe_types import problems_of


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def credited(offline: Offline, customer: str, amount: int, **more: Any) -> Any:
    """Change a customer's balance by hand."""
    made: Any = {"amount": amount, "currency": "usd", **more}
    return offline.client.v1.customers.balance_transactions.create(customer, made)


def test_credit_is_used_up_by_the_next_invoice(offline: Offline) -> None:
    """Both moves are listed, the newest first, and each says what was left then."""
    customer, client = offline.customer(), offline.client.v1
    made = credited(offline, customer, -1000, description="Sorry")
    assert not problems_of(made.to_dict(for_json=True))
    assert client.customers.retrieve(customer).balance == -1000
    offline.subscription(offline.price(2900), customer)
    (invoice,) = client.invoices.list().data
    assert invoice.amount_due == 1900
    moves = client.customers.balance_transactions.list(customer).data
    assert [(one.type, one.amount, one.ending_balance) for one in moves] == [
        ("applied_to_invoice", 1000, 0),
        ("adjustment", -1000, -1000),
    ]
    assert moves[0].invoice == invoice.id
    assert not problems_of(moves[0].to_dict(for_json=True))
    one = client.customers.balance_transactions
    assert one.retrieve(customer, made.id).description == "Sorry"
    changed = one.update(customer, made.id, {"metadata": {"a": "b"}}).to_dict()
    assert changed["metadata"] == {"a": "b"}


def test_a_credit_note_to_the_balance_names_its_move(offline: Offline) -> None:
    """The transaction that the note tells of can be fetched, and names the note."""
    customer, client = offline.customer(), offline.client.v1
    offline.subscription(offline.price(2900), customer)
    (invoice,) = client.invoices.list().data
    note = client.credit_notes.create(
        {"invoice": str(invoice.id), "amount": 500, "credit_amount": 500}
    )
    move_id = str(note.customer_balance_transaction)
    move = client.customers.balance_transactions.retrieve(customer, move_id)
    assert (move.type, move.amount, move.credit_note) == ("credit_note", -500, note.id)


def test_what_cannot_be_credited_is_refused(offline: Offline) -> None:
    """Nothing, another currency, and another customer's move."""
    customer, other = offline.customer(), offline.customer("other")
    made = credited(offline, customer, -1000)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be zero"):
        credited(offline, customer, 0)
    with pytest.raises(stripe.InvalidRequestError, match="currency is usd"):
        credited(offline, customer, -5, currency="eur")
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.customers.balance_transactions.retrieve(other, made.id)
    assert error.value.code == "resource_missing"


def test_tax_numbers_are_noted_listed_and_struck_out(offline: Offline) -> None:
    """Under the customer; nobody verifies them."""
    customer, client = offline.customer(), offline.client.v1
    made = client.customers.tax_ids.create(customer, {"type": "eu_vat", "value": "DE123456789"})
    assert (made.country, made.value) == ("DE", "DE123456789")
    assert not problems_of(made.to_dict(for_json=True))
    second = client.customers.tax_ids.create(customer, {"type": "gb_vat", "value": "GB1"})
    assert [one.id for one in client.customers.tax_ids.list(customer)] == [second.id, made.id]
    told = client.customers.retrieve(customer, {"expand": ["tax_ids"]}).tax_ids
    assert told is not None
    assert len(told.data) == 2
    assert client.customers.tax_ids.retrieve(customer, made.id).id == made.id
    assert client.customers.tax_ids.delete(customer, made.id).deleted
    assert client.customers.tax_ids.delete(customer, second.id).deleted
    assert client.customers.tax_ids.list(customer).data == []
    assert offline.types().count("customer.tax_id.deleted") == 2


def test_the_account_itself_has_no_tax_numbers(offline: Offline) -> None:
    """Whoever names no owner asks for its own; a customer's are refused, not said to be none."""
    customer, client = offline.customer(), offline.client.v1
    client.customers.tax_ids.create(customer, {"type": "eu_vat", "value": "DE1"})
    assert client.tax_ids.list().data == []
    assert client.tax_ids.list({"owner": {"type": "self"}}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="/v1/customers/:id/tax_ids"):
        client.tax_ids.list({"owner": {"type": "customer", "customer": customer}})


@pytest.mark.parametrize(
    ("params", "param"),
    [({"type": "vat", "value": "1"}, "type"), ({"type": "eu_vat"}, "value")],
)
def test_a_tax_number_that_is_none_is_refused(offline: Offline, params: Any, param: str) -> None:
    """By the name of what is wrong; and another customer's is not to be had."""
    customer = offline.customer()
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.customers.tax_ids.create(customer, params)
    assert error.value.param == param
    made: Any = {"type": "eu_vat", "value": "DE1"}
    number = offline.client.v1.customers.tax_ids.create(customer, made).id
    with pytest.raises(stripe.InvalidRequestError, match="No such tax ID"):
        offline.client.v1.customers.tax_ids.delete(offline.customer("other"), number)
