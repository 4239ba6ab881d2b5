"""Credit notes: issued on open and paid invoices, voided, listed."""

from sandbox.simulate.objects import subscription_object
from sandbox.simulate.records import CreditNote, Invoice
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import DATED_PAGE, NOTHING, Group, amount, text
from sandbox.stripe.errors import invalid

_NOTE = Group(
    {
        "amount": amount,
        "credit_amount": amount,
        "invoice": text,
        "memo": text,
        "out_of_band_amount": amount,
        "refund_amount": amount,
    },
    required=("invoice",),
)


def _create(call: Call) -> Found:
    invoice = call.find(Invoice, call.params["invoice"], "invoice", "invoice")
    if invoice.status not in {"open", "paid"}:
        message = "Credit notes can only be issued on open or paid invoices; this one is"
        raise invalid(f"{message} {invoice.status}.", "invoice")
    note = _on_open(call, invoice) if invoice.status == "open" else _on_paid(call, invoice)
    if call.params.get("memo"):
        note.memo = call.params["memo"]
    return note


def _on_open(call: Call, invoice: Invoice) -> CreditNote:
    params = call.params
    for name in ("credit_amount", "out_of_band_amount", "refund_amount"):
        if params.get(name):
            raise invalid(f"You can not pass `{name}` for an open invoice.", name)
    _check(params.get("amount", 0), invoice.amount_due)
    note = call.shop.credit_open(invoice, params["amount"])
    subscription = invoice.subscription
    if invoice.status == "paid" and subscription and subscription.status == "past_due":
        before = subscription_object(subscription)
        subscription.status = "active"
        call.shop.report(subscription, before)
    return note


def _on_paid(call: Call, invoice: Invoice) -> CreditNote:
    params = call.params
    refund = params.get("refund_amount", 0)
    balance, outside = params.get("credit_amount", 0), params.get("out_of_band_amount", 0)
    whole = refund + balance + outside
    if params.get("amount", whole) != whole:
        message = "The sum of credit amount, refund amount and out of band amount must equal the"
        raise invalid(f"{message} credit note amount.", "amount")
    _check(whole, invoice.amount_paid - invoice.post_credited)
    charge = invoice.intent.charge if invoice.intent else None
    if refund and (charge is None or charge.intent.amount - charge.amount_refunded < refund):
        raise invalid("So much is not left to refund on the invoice's charge.", "refund_amount")
    return call.shop.credit_paid(invoice, refund=refund, balance=balance, outside=outside)


def _check(wanted: int, left: int) -> None:
    if not 0 < wanted <= left:
        message = (
            f"The amount of the credit note must be from 1 to {left}, what the invoice has left."
        )
        raise invalid(message, "amount")


def _void(call: Call) -> Found:
    note = call.the(CreditNote, "credit_note")
    if note.voided_at is not None or note.invoice.status != "open":
        raise invalid("Only issued credit notes on open invoices can be voided.")
    call.shop.void_note(note)
    return note


def _notes(call: Call) -> Found:
    return call.listed(
        CreditNote,
        invoice=lambda note: note.invoice.id,
        customer=lambda note: note.invoice.customer.id,
    )


_N = "/v1/credit_notes"
ENDPOINTS = (
    Endpoint("POST", _N, _NOTE, _create),
    Endpoint("GET", _N, Group({**DATED_PAGE, "customer": text, "invoice": text}), _notes),
    Endpoint("GET", f"{_N}/<id>", NOTHING, lambda call: call.the(CreditNote, "credit_note")),
    Endpoint("POST", f"{_N}/<id>/void", NOTHING, _void),
)
