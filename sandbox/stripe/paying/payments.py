"""What requests do with cards and money, without a page: attach, confirm, capture, cancel.

Raises nothing: what a card said is an answer. No I/O.
"""

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.engine import changed
from sandbox.simulate.money_records import Charge, Intent
from sandbox.simulate.objects import customer_object
from sandbox.simulate.payment_objects import charge_object, intent_object
from sandbox.stripe.cards import Card
from sandbox.stripe.contracts import Contracts
from sandbox.stripe.paying.methods import Method, method_object
from sandbox.stripe.paying.setups import Setup, setup_object
from sandbox.stripe.views import Declined, NeedsAuthentication

Said = Declined | NeedsAuthentication | None


class Paying(Contracts):
    """Payment methods, payment intents and setup intents as the API has them."""

    def detach(self, method: Method) -> None:
        """Take a card from its customer, for good."""
        customer, before = method.customer, method.customer and method.customer.id
        method.customer, method.detached = None, True
        drawn = method_object(method)
        self.emit("payment_method.detached", drawn, customer, {"customer": before})
        if customer and customer.method_id == method.id:
            customer.method_id = customer.card_number = customer.card_last4 = ""

    def make_default(self, customer: Customer, method: Method) -> None:
        """Let a customer's invoices be paid by a card of theirs."""
        before = customer_object(customer)
        customer.has_default = True
        self.use_method(customer, method)
        after = customer_object(customer)
        if after != before:
            self.emit("customer.updated", after, customer, changed(before, after))

    # Payment intents.

    def begin(self, intent: Intent, method: Method | None) -> None:
        """Say what an intent is to be paid by."""
        if method:
            self.try_method(intent, method)
            intent.status = "requires_confirmation"

    def confirm(self, intent: Intent, method: Method, *, absent: bool) -> Said:
        """Try a card on an intent; None when the money is there, or held.

        Nobody answers the bank's question to a buyer who is `absent`.
        """
        self.try_method(intent, method)
        card = self.tried(method.card)
        if card.authenticates and not absent:
            intent.status = "requires_action"
            drawn = intent_object(intent)
            self.emit("payment_intent.requires_action", drawn, intent.customer)
            return NeedsAuthentication()
        refusal = refusal_of(card, absent=absent)
        if refusal:
            intent.decline_message = refusal.message
            self.decline(intent, refusal.code)
            return refusal
        self._receive(intent)
        return None

    def answer_setup(self, setup: Setup, method: Method, *, succeeds: bool) -> None:
        """Bring the buyer's answer to the bank's question about a card to keep."""
        setup.stated.pop("next_action", None)
        if succeeds:
            self.finish_setup(setup, method)
            return
        setup.method, setup.status = None, "requires_payment_method"
        setup.declined, setup.unauthenticated = method, True
        self.emit("setup_intent.setup_failed", setup_object(setup), setup.customer)

    def answer_bank(self, intent: Intent, *, succeeds: bool) -> None:
        """Bring the buyer's answer to the bank's question."""
        intent.stated.pop("next_action", None)
        if succeeds:
            self._receive(intent)
            return
        intent.status = "requires_payment_method"
        intent.decline_code = "payment_intent_authentication_failure"
        intent.decline_message = "The provided PaymentMethod has failed authentication."
        self.emit("payment_intent.payment_failed", intent_object(intent), intent.customer)

    def capture_intent(self, intent: Intent, amount: int) -> None:
        """Take what was held, or a part of it."""
        intent.amount, intent.status = amount, "succeeded"
        charge = intent.charge
        if charge:
            self.emit("charge.captured", charge_object(charge), intent.customer)
        self.emit("payment_intent.succeeded", intent_object(intent), intent.customer)

    def cancel_intent(self, intent: Intent, reason: str | None) -> None:
        """Give up on an intent; what was held is free again."""
        if intent.status == "requires_capture" and intent.charge:
            charge = intent.charge
            charge.amount_refunded = intent.amount
            self.emit("charge.refunded", charge_object(charge), intent.customer)
        intent.status, intent.canceled_at = "canceled", self.now
        intent.stated = intent.stated | {"cancellation_reason": reason}
        self.emit("payment_intent.canceled", intent_object(intent), intent.customer)

    def _receive(self, intent: Intent) -> None:
        invoice = self.invoices.get(intent.invoice_id or "")
        if invoice and invoice.status == "open":
            self.receive(invoice)
            return
        if not intent.manual:
            charge = self.collect(intent)
            charge.sale_id = intent.id
            return
        intent.status, intent.decline_code = "requires_capture", None
        self._hold(intent)

    def _hold(self, intent: Intent) -> None:
        charge = Charge(self.new_id("ch"), intent, self.now, "succeeded")
        intent.charge = charge
        self.keep(charge)
        self.emit("charge.succeeded", charge_object(charge), intent.customer)
        drawn = intent_object(intent)
        self.emit("payment_intent.amount_capturable_updated", drawn, intent.customer)

    # Setup intents.

    def open_setup(self, setup: Setup) -> None:
        """Begin to keep a card."""
        self.keep(setup)
        self.emit("setup_intent.created", setup_object(setup), setup.customer)

    def confirm_setup(self, setup: Setup, method: Method, *, absent: bool) -> Said:
        """Try to keep a card; None when it is the customer's."""
        card = self.tried(method.card)
        setup.method, setup.declined, setup.unauthenticated = method, None, False
        if card.authenticates and not absent:
            setup.status = "requires_action"
            self.emit("setup_intent.requires_action", setup_object(setup), setup.customer)
            return NeedsAuthentication()
        if card.decline_code is not None:
            setup.method, setup.declined = None, method
            setup.status = "requires_payment_method"
            self.emit("setup_intent.setup_failed", setup_object(setup), setup.customer)
            return Declined(card.message, card.decline_code)
        self.finish_setup(setup, method)
        return None

    def finish_setup(self, setup: Setup, method: Method) -> None:
        """Keep a card that the bank has agreed to."""
        if setup.customer:
            self.attach(method, setup.customer)
        setup.method, setup.status = method, "succeeded"
        self.emit("setup_intent.succeeded", setup_object(setup), setup.customer)

    def cancel_setup(self, setup: Setup, reason: str | None, *, by_stripe: bool = False) -> None:
        """Give up on a setup intent."""
        setup.status, setup.canceled_for = "canceled", reason
        drawn = setup_object(setup)
        self.emit("setup_intent.canceled", drawn, setup.customer, by_stripe=by_stripe)


def refusal_of(card: Card, *, absent: bool = False) -> Declined | None:
    """What a card says to a charge; None where it pays."""
    if card.decline_code is not None:
        return Declined(card.message, card.decline_code)
    if card.fails_later:
        return Declined("Your card was declined.", "generic_decline")
    if card.authenticates and absent:
        message = "Your card was declined. This transaction requires authentication."
        return Declined(message, "authentication_required")
    return None
