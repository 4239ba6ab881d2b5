"""What decoders produce: partial knowledge of one thing each, to be joined to what is known."""

from domain.adjustments import Adjustment
from domain.claims import Customer
from domain.credit_notes import CreditNote
from domain.payments import Dispute, MoneyObject, Refund
from domain.subscriptions import Subscription

Fact = Customer | Subscription | MoneyObject | Refund | Dispute | CreditNote | Adjustment
