"""What decoders produce: partial knowledge of one thing each, to be joined to what is known."""

from domain.payments.claims import Customer
from domain.payments.credit_notes import CreditNote
from domain.payments.objects import MoneyObject
from domain.payments.reversals import Dispute, Refund
from domain.subscriptions.versions import Subscription
from domain.tokens.adjustments import Adjustment

Fact = Customer | Subscription | MoneyObject | Refund | Dispute | CreditNote | Adjustment
