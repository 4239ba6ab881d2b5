"""What a customer does to a running subscription: cancel, take that back, switch, pay what failed.

And what Stripe does by itself: tries to collect a renewal, again and again, then gives up.
"""

from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.cycles import Change, alter
from sandbox.simulate.engine import changed
from sandbox.simulate.objects import customer_object, subscription_object
from sandbox.simulate.payment_objects import card_object
from sandbox.simulate.records import Invoice
from sandbox.stripe.bills import Bills
from sandbox.stripe.cards import Card, card_of
from sandbox.stripe.views import Declined, NeedsAuthentication

# After each failed attempt in turn; after the last the contract ends.
RETRY_DAYS = (1, 3, 5)
RUNNING = frozenset({"active", "trialing", "past_due"})
NO_CARD = Declined("Your card was declined.", "generic_decline")


def pays(customer: Customer) -> bool:
    """Whether the customer's card pays while nobody looks on."""
    card = card_of(customer.card_number)
    return card is not None and card.decline_code is None and not card.fails_later


class Contracts(Bills):
    """Subscriptions that run."""

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
        if price.unit_minor * quantity > 0 and not pays(customer):
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
        if subscription is None or invoice.amount_due == 0 or pays(invoice.customer):
            self.receive(invoice)
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
        else:
            self.pay(invoice)

    def pay_now(
        self, invoice: Invoice, card: Card, *, authenticated: bool = False
    ) -> Declined | NeedsAuthentication | None:
        """Try a card on an open invoice while its owner looks on; None when it is paid then."""
        if card.decline_code is not None:
            intent = self.intent_of(invoice)
            intent.decline_message = card.message
            self.refuse(invoice, retry_at=invoice.next_attempt, code=card.decline_code)
            return Declined(card.message, card.decline_code)
        if card.authenticates and not authenticated:
            return NeedsAuthentication()
        self.set_card(invoice.customer, card)
        self.receive(invoice)
        return None

    def replace_card(self, customer: Customer, card: Card) -> None:
        """Make another card the one that renewals are collected from."""
        before = customer_object(customer)
        self.set_card(customer, card)
        after = customer_object(customer)
        self.emit("payment_method.attached", card_object(customer, self.now), customer)
        if after != before:
            self.emit("customer.updated", after, customer, changed(before, after))

    def finish_draft(self, invoice: Invoice) -> None:
        """Open a renewal's draft and try to collect it."""
        self.finalize(invoice)
        self.attempt(invoice)
