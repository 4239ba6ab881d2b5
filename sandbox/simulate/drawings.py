"""How each kind of record is drawn as events carry it, in the version of its customer."""

from collections.abc import Callable
from typing import Any

from sandbox.simulate.contract_records import Customer, Subscription
from sandbox.simulate.credit_note_objects import credit_note_object
from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.money_records import Charge, Dispute, Intent, Refund
from sandbox.simulate.objects import Json, customer_object, subscription_object
from sandbox.simulate.payment_objects import charge_object, intent_object
from sandbox.simulate.records import CreditNote, Invoice, Session
from sandbox.simulate.reversal_objects import dispute_object, refund_object
from sandbox.simulate.session_objects import session_object

# What is not among these is drawn alike in all versions.
DRAWINGS: dict[type, Callable[[Any], Json]] = {
    Charge: charge_object,
    CreditNote: credit_note_object,
    Customer: customer_object,
    Dispute: dispute_object,
    Intent: intent_object,
    Invoice: invoice_object,
    Refund: refund_object,
    Session: session_object,
    Subscription: subscription_object,
}
