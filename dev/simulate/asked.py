"""What Stripe would answer about the simulated account's sales when it is asked. Pure.

Events never carry a session's line items, and at some versions nothing in them links a payment's
intent to its invoice; both can be asked for.
"""

from dev.simulate.engine import Engine
from dev.simulate.invoice_objects import invoice_payment_object
from dev.simulate.objects import Json, price_object, stripe_list
from dev.simulate.records import Pick, Session


def line_items(account: Engine, session_id: str) -> Json:
    """Answer `GET /v1/checkout/sessions/:id/line_items`; KeyError when there is no such session."""
    session = account.sessions[session_id]
    left = session.discount, session.tax
    drawn = []
    for pick in session.picks:
        discount, tax = min(left[0], pick.amount), left[1]
        left = left[0] - discount, 0
        drawn.append(_line_item(session, pick, discount, tax))
    return stripe_list(drawn, f"/v1/checkout/sessions/{session_id}/line_items")


def invoice_payments(account: Engine, intent_id: str) -> Json:
    """Answer `GET /v1/invoice_payments` for one payment intent."""
    paid = [
        invoice_payment_object(invoice)
        for invoice in account.invoices.values()
        if invoice.payment_id and invoice.intent and invoice.intent.id == intent_id
    ]
    return stripe_list(paid, "/v1/invoice_payments")


def _line_item(session: Session, pick: Pick, discount: int, tax: int) -> Json:
    adjustable = {"enabled": True, "maximum": 99, "minimum": 1}
    return {
        "id": pick.line_id,
        "object": "item",
        "adjustable_quantity": adjustable if session.payment_link else None,
        "amount_discount": discount,
        "amount_subtotal": pick.amount,
        "amount_tax": tax,
        "amount_total": pick.amount - discount + tax,
        "currency": pick.price.currency,
        "description": pick.price.plan.name,
        "metadata": {},
        "price": price_object(pick.price),
        "quantity": pick.quantity,
    }
