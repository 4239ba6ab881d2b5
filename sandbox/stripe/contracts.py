"""What a customer does to a running subscription: cancel, take that back, switch, pay what failed.

And what Stripe does by itself: tries to collect a renewal, again and again, then gives up.
"""

from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.cycles import Change, alter
from sandbox.simulate.engine import changed
from sandbox.simulate.objects import customer_object, subscription_object
from sandbox.simulate.payment_objects import card_object, intent_object
from sandbox.simulate.records import Invoice
from sandbox.stripe.bills import Bills
from sandbox.stripe.cards import Card, card_of
from sandbox.stripe.paying.methods import Method
from sandbox.stripe.views import Declined, NeedsAuthentication

# After each failed attempt in turn; after the last the contract ends.
RETRY_DAYS = (1, 3, 5)
RUNNING = frozenset({"active", "trialing", "past_due"})
NO_CARD = Declined("Your card was declined.", "generic_decline")


class Contracts(Bills):
    """Subscriptions that run."""

    def card_for(self, customer: Customer, subscription: Subscription | None) -> Card | None:
        """The card that pays for a contract: its own, or that of the customer."""
        named = subscription.method_id if subscription else None
        method = self.get(Method, named) if named else None
        own = method and method.customer is customer and not method.detached
        return method.card if method and own else card_of(customer.card_number)

    def pays(self, customer: Customer, subscription: Subscription | None) -> bool:
        """Whether the card pays while nobody looks on."""
        card = self.card_for(customer, subscription)
        return card is not None and card.decline_code is None and not card.fails_later

    def cancel_at_end(self, subscription: Subscription) -> None:
        """Schedule the end by the boolean, as an API request does and the portal does not."""
        before = subscription_object(subscription)
        subscription.cancel_at_period_end = True
        subscription.cancel_at = subscription.period_end
        subscription.canceled_at = self.now
        subscription.cancel_reason = "cancellation_requested"
        self.report(subscription, before, by_stripe=False)

    def close(self, subscription: Subscription) -> None:
        """End a contract now; what is still owed is no longer asked for."""
        self.end(subscription, "cancellation_requested")
        for invoice in self.unsettled(subscription.customer):
            if invoice.subscription is subscription:
                invoice.next_attempt = None

    def unsettled(self, customer: Customer) -> list[Invoice]:
        """The customer's open invoices, newest first."""
        return [
            invoice
            for invoice in self.every(Invoice)
            if invoice.customer is customer and invoice.status == "open"
        ]

    def move_to(self, subscription: Subscription, price: Price, quantity: int) -> Declined | None:
        """Switch to another price and collect the difference at once.

        A card that would not pay it keeps the contract as it is.
        """
        customer = subscription.customer
        if price.unit_minor * quantity > 0 and not self.pays(customer, subscription):
            return NO_CARD
        trialing = subscription.status == "trialing"
        if trialing:
            before = subscription_object(subscription)
            subscription.price, subscription.quantity = price, quantity
            self.report(subscription, before, by_stripe=False)
            return None
        alter(self, subscription, Change(price, quantity))
        return None

    def attempt(self, invoice: Invoice) -> None:
        """Try to collect a renewal, whose failures are counted."""
        subscription = invoice.subscription
        pays = self.pays(invoice.customer, subscription)
        if invoice.amount_due and self.fails_next:
            self.fails_next = pays = False
        if invoice.amount_due == 0 or pays:
            self.receive(invoice)
            return
        if subscription is None:
            self.refuse(invoice, retry_at=None, code=self.reason(invoice))
            return
        tries = invoice.attempts
        if tries >= len(RETRY_DAYS):
            self.give_up(subscription, invoice, to="canceled")
            return
        self.miss(subscription, invoice, retry_days=RETRY_DAYS[tries])

    def receive(self, invoice: Invoice) -> None:
        """Collect an open invoice; a contract that was behind is up to date then."""
        subscription = invoice.subscription
        if subscription and subscription.status == "past_due":
            self.catch_up(subscription, invoice)
            return
        self.pay(invoice)
        if subscription and subscription.status == "incomplete":
            before = subscription_object(subscription)
            subscription.status = "active"
            self.report(subscription, before)

    def receive_outside(self, invoice: Invoice) -> None:
        """Take an open invoice for paid: the money came another way."""
        invoice.paid_outside = True
        intent, invoice.intent = invoice.intent, None
        if intent:
            intent.status, intent.canceled_at = "canceled", self.now
            self.emit("payment_intent.canceled", intent_object(intent), intent.customer)
        self.mark_paid(invoice)

    def pay_now(
        self, invoice: Invoice, card: Card, *, authenticated: bool = False
    ) -> Declined | NeedsAuthentication | None:
        """Try a card on an open invoice while its owner looks on; None when it is paid then."""
        card = self.tried(card)
        if card.decline_code is not None:
            intent = self.intent_of(invoice)
            intent.decline_message = card.message
            self.refuse(invoice, retry_at=invoice.next_attempt, code=card.decline_code)
            return Declined(card.message, card.decline_code)
        if card.authenticates and not authenticated:
            return NeedsAuthentication()
        self._replace(invoice.customer, card)
        self.receive(invoice)
        return None

    def replace_card(self, customer: Customer, card: Card) -> None:
        """Make another card the one that renewals are collected from."""
        before = customer_object(customer)
        self._replace(customer, card)
        after = customer_object(customer)
        self.emit("payment_method.attached", card_object(customer, self.now), customer)
        if after != before:
            self.emit("customer.updated", after, customer, changed(before, after))

    def reason(self, invoice: Invoice) -> str:
        """Why the card of an invoice does not pay."""
        card = self.card_for(invoice.customer, invoice.subscription)
        return (card.decline_code if card else None) or "generic_decline"

    def _replace(self, customer: Customer, card: Card) -> None:
        # Contracts that were paid by the card before are paid by the new one.
        former = customer.method_id
        self.set_card(customer, card)
        for subscription in self.every(Subscription):
            held = subscription.customer is customer and subscription.ended_at is None
            if held and subscription.method_id == former != customer.method_id:
                before = subscription_object(subscription)
                subscription.method_id = customer.method_id
                self.report(subscription, before, by_stripe=False)

    def finish_draft(self, invoice: Invoice) -> None:
        """Open a renewal's draft and try to collect it."""
        self.finalize(invoice)
        self.attempt(invoice)
