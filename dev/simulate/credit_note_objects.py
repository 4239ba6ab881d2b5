"""Draws credit notes as full Stripe objects, at the paths of the customer's API version. Pure."""

from dev.simulate.objects import Json, stripe_list
from dev.simulate.records import CreditNote
from dev.simulate.versions import ApiVersion


def credit_note_object(note: CreditNote) -> Json:
    """Draw a credit note as it stands."""
    customer = note.invoice.customer
    drawn: Json = {
        "id": note.id,
        "object": "credit_note",
        "amount": note.amount,
        "amount_shipping": 0,
        "created": note.created,
        "currency": note.invoice.currency,
        "customer": customer.reference,
        "customer_balance_transaction": note.balance_transaction,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": note.created,
        "invoice": note.invoice.id,
        "lines": stripe_list([_line(note)], f"/v1/credit_notes/{note.id}/lines"),
        "livemode": False,
        "memo": note.memo,
        "metadata": {},
        "number": note.number,
        "out_of_band_amount": note.outside or None,
        "pdf": f"https://pay.stripe.com/credit_notes/acct_simulated/{note.id}/pdf",
        "pretax_credit_amounts": [],
        "reason": "order_change",
        "shipping_cost": None,
        "status": "issued" if note.voided_at is None else "void",
        "subtotal": note.amount,
        "subtotal_excluding_tax": note.amount,
        "total": note.amount,
        "total_excluding_tax": note.amount,
        "type": "pre_payment" if note.before_payment else "post_payment",
        "voided_at": note.voided_at,
    }
    return drawn | _versioned(note, customer.version)


def _versioned(note: CreditNote, version: ApiVersion) -> Json:
    if not version.basil:
        return {"refund": note.refund.id if note.refund else None, "tax_amounts": []}
    drawn: Json = {"refunds": [_refund(note, version)] if note.refund else [], "total_taxes": []}
    # The sums by time of payment came with the events of invoice payments.
    if version.invoice_payments:
        drawn["pre_payment_amount"] = note.amount if note.before_payment else 0
        drawn["post_payment_amount"] = 0 if note.before_payment else note.amount
    if version.customer_accounts:
        drawn["customer_account"] = note.invoice.customer.account_reference
    return drawn


def _refund(note: CreditNote, version: ApiVersion) -> Json:
    refund = note.refund
    drawn: Json = {
        "amount_refunded": refund.amount if refund else 0,
        "refund": refund.id if refund else None,
    }
    if version.hosted_page:
        drawn |= {"payment_record_refund": None, "type": "refund"}
    return drawn


def _line(note: CreditNote) -> Json:
    line = note.invoice.lines[0]
    drawn: Json = {
        "id": note.line_id,
        "object": "credit_note_line_item",
        "amount": note.amount,
        "description": line.description,
        "discount_amount": 0,
        "discount_amounts": [],
        "invoice_line_item": line.id,
        "livemode": False,
        "pretax_credit_amounts": [],
        "quantity": None,
        "tax_rates": [],
        "type": "invoice_line_item",
        "unit_amount": None,
        "unit_amount_decimal": None,
    }
    if note.invoice.customer.version.basil:
        return drawn | {"taxes": []}
    return drawn | {"amount_excluding_tax": note.amount, "tax_amounts": []}
