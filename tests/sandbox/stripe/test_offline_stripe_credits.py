"""Credit notes of the offline Stripe: on paid and open invoices, voided, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.offline_stripe import DAY, LATER, Offline, offline_stripe
from tests.stripe_types import problems_of


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def owed(offline: Offline) -> stripe.Invoice:
    """A renewal that was tried once and is open."""
    offline.subscription(offline.price(2900), offline.customer(), LATER)
    offline.world.advance(31 * DAY)
    (invoice,) = offline.client.v1.invoices.list({"status": "open"}).data
    return invoice


def note(offline: Offline, **params: Any) -> stripe.CreditNote:
    """Issue a credit note."""
    made: Any = params
    return offline.client.v1.credit_notes.create(made)


def test_a_paid_invoice_is_given_back_in_three_ways(offline: Offline) -> None:
    """To the card, to the balance and in hand; each is told, and the list finds the note."""
    offline.subscription(offline.price(2900), offline.customer())
    (invoice,) = offline.client.v1.invoices.list().data
    made = note(
        offline,
        invoice=invoice.id,
        refund_amount=1000,
        credit_amount=500,
        out_of_band_amount=400,
        memo="Sorry",
    )
    assert (made.amount, made.type, made.memo) == (1900, "post_payment", "Sorry")
    assert not problems_of(made.to_dict(for_json=True))
    after = offline.client.v1.invoices.retrieve(str(invoice.id))
    assert (after.status, after.post_payment_credit_notes_amount) == ("paid", 1900)
    assert [one.amount for one in offline.client.v1.refunds.list().data] == [1000]
    assert {"credit_note.created", "charge.refunded"} <= set(offline.types())
    (told,) = offline.objects("credit_note.created")
    assert (told["id"], told["out_of_band_amount"], told["post_payment_amount"]) == (
        made.id,
        400,
        1900,
    )
    assert offline.client.v1.credit_notes.list({"invoice": str(invoice.id)}).data[0].id == made.id
    with pytest.raises(stripe.InvalidRequestError):
        note(offline, invoice=invoice.id, credit_amount=1001)
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.credit_notes.void_credit_note(made.id)


def test_an_open_invoice_is_written_off_and_its_contract_is_well(offline: Offline) -> None:
    """With nothing left to pay it is paid by nobody, and the contract is no longer behind."""
    invoice = owed(offline)
    note(offline, invoice=invoice.id, amount=900)
    part = offline.client.v1.invoices.retrieve(str(invoice.id))
    assert (part.status, part.amount_due) == ("open", 2000)
    note(offline, invoice=invoice.id, amount=2000)
    whole = offline.client.v1.invoices.retrieve(str(invoice.id))
    assert (whole.status, whole.amount_paid, whole.pre_payment_credit_notes_amount) == (
        "paid",
        0,
        2900,
    )
    (contract,) = offline.client.v1.subscriptions.list().data
    assert contract.status == "active"
    assert offline.types().count("credit_note.created") == 2


def test_a_note_on_an_open_invoice_is_taken_back_once(offline: Offline) -> None:
    """All is due again, the note stays as void, and is void for good."""
    invoice = owed(offline)
    made = note(offline, invoice=invoice.id, amount=900)
    assert offline.client.v1.credit_notes.void_credit_note(made.id).status == "void"
    assert offline.client.v1.credit_notes.retrieve(made.id).status == "void"
    assert offline.client.v1.invoices.retrieve(str(invoice.id)).amount_due == 2900
    assert offline.types()[-1] == "credit_note.voided"
    with pytest.raises(stripe.InvalidRequestError):
        offline.client.v1.credit_notes.void_credit_note(made.id)


@pytest.mark.parametrize("terms", [{}, {"amount": 2901}, {"amount": 100, "refund_amount": 100}])
def test_what_an_open_invoice_cannot_bear_is_refused(
    offline: Offline, terms: dict[str, int]
) -> None:
    """Nothing, more than is due, and money back that never came."""
    invoice = owed(offline)
    with pytest.raises(stripe.InvalidRequestError):
        note(offline, invoice=invoice.id, **terms)
    assert not offline.client.v1.credit_notes.list().data
