"""Draws the entries of the lists that belong to one object: line items, items, lines, payments."""

from typing import Any

from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.invoice_objects import invoice_payment_object, line_object
from sandbox.simulate.objects import item_object, price_object, stripe_list
from sandbox.simulate.records import Invoice
from sandbox.stripe.bills import SHOWN
from sandbox.stripe.checkouts import due_now, off_each
from sandbox.stripe.paying.setup_sessions import AnySession, SetupSession

Json = dict[str, Any]


def line_items_of(session: AnySession) -> list[Json]:
    """Draw what is in a session, each thing with what it costs today."""
    if isinstance(session, SetupSession):
        return []
    sums = zip(session.picks, due_now(session), off_each(session), strict=True)
    return [
        {
            "id": pick.line_id,
            "object": "item",
            "adjustable_quantity": None,
            "amount_discount": off,
            "amount_subtotal": due,
            "amount_tax": 0,
            "amount_total": due - off,
            "currency": pick.price.currency,
            "description": pick.price.plan.name,
            "metadata": {},
            "price": price_object(pick.price),
            "quantity": pick.quantity,
        }
        for pick, due, off in sums
    ]


def cut_list(entries: list[Json], url: str) -> Json:
    """A list inside another object, which shows the first of its entries only."""
    return {**stripe_list(entries[:SHOWN], url), "has_more": len(entries) > SHOWN}


def items_of(subscription: Subscription) -> list[Json]:
    """Draw the items of a subscription."""
    return [item_object(subscription, one) for one in subscription.items]


def lines_of(invoice: Invoice) -> list[Json]:
    """Draw the lines of an invoice."""
    return [line_object(line, invoice) for line in invoice.lines]


def invoice_payments(invoice: Invoice) -> list[Json]:
    """Draw what has paid an invoice, or is about to."""
    if invoice.payment_id:
        return [invoice_payment_object(invoice)]
    if invoice.intent is None:
        return []
    drawn = invoice_payment_object(invoice)
    return [
        {**drawn, "id": f"inpay_{invoice.intent.id[3:]}", "amount_paid": None, "status": "open"}
    ]
