"""How the simulated account collects money: intents, charges and invoices, step by step.

The base of every kind of sale. Each step keeps the records, notes what is expected and emits the
events that Stripe would, twins and noise included. No I/O.
"""

from collections.abc import Sequence
from typing import Any

from sandbox.simulate.contract_records import Customer, Line, Subscription
from sandbox.simulate.coupons import Discount
from sandbox.simulate.engine import Engine
from sandbox.simulate.invoice_objects import invoice_object, invoice_payment_object
from sandbox.simulate.money_records import Charge, Intent
from sandbox.simulate.objects import customer_object
from sandbox.simulate.payment_objects import charge_object, intent_object
from sandbox.simulate.records import Invoice

# A renewal's invoice stays a draft for about this long.
DRAFT_SECONDS = 3600


class Payments(Engine):
    """Collecting an intent and marking an invoice paid."""

    def start_intent(
        self,
        customer: Customer,
        amount: int,
        *,
        description: str,
        metadata: dict[str, str] | None = None,
        method: str = "card",
        invoice: Invoice | None = None,
        currency: str = "",
        stated: dict[str, Any] | None = None,
    ) -> Intent:
        """Open a payment intent, in the currency of its invoice or of the customer."""
        intent = Intent(
            id=self.new_id("pi"),
            customer=customer,
            amount=amount,
            currency=currency or (invoice.currency if invoice else customer.currency),
            created=self.now,
            method_type=method,
            metadata=metadata or {},
            description=description,
            invoice_id=invoice.id if invoice else None,
            stated=stated or {},
        )
        if invoice:
            invoice.intent = intent
        self.keep(intent)
        self.emit("payment_intent.created", intent_object(intent), customer)
        return intent

    def decline(self, intent: Intent, code: str = "insufficient_funds") -> None:
        """Refuse an attempt; the intent may still succeed."""
        charge = self._charge(intent, "failed")
        intent.status = "requires_payment_method"
        intent.decline_code = code
        self.emit("charge.failed", charge_object(charge), intent.customer)
        self.emit("payment_intent.payment_failed", intent_object(intent), intent.customer)

    def process(self, intent: Intent) -> None:
        """Start a delayed payment."""
        charge = self._charge(intent, "pending")
        intent.status = "processing"
        self.emit("payment_intent.processing", intent_object(intent), intent.customer)
        self.emit("charge.pending", charge_object(charge), intent.customer)

    def collect(self, intent: Intent) -> Charge:
        """Take the money."""
        pending = intent.charge if intent.charge and intent.charge.status == "pending" else None
        charge = pending or self._charge(intent, "succeeded")
        charge.status = "succeeded"
        intent.status = "succeeded"
        intent.decline_code = None
        self.emit("charge.succeeded", charge_object(charge), intent.customer)
        self.emit("payment_intent.succeeded", intent_object(intent), intent.customer)
        return charge

    def new_invoice(
        self,
        customer: Customer,
        reason: str,
        lines: list[Line],
        subscription: Subscription | None = None,
        *,
        percent_off: int = 0,
        discounts: Sequence[Discount] = (),
        lists_cut: int | None = None,
        tax: int = 0,
        currency: str = "",
    ) -> Invoice:
        """Draft an invoice and say so; its events show `lists_cut` lines, or all.

        Its lines say the currency, where it has any.
        """
        customer.invoices += 1
        invoice = Invoice(
            id=self.new_id("in"),
            customer=customer,
            currency=lines[0].price.currency if lines else currency,
            created=self.now,
            number=f"{customer.id[-8:].upper()}-{customer.invoices:04d}",
            reason=reason,
            lines=lines,
            subscription=subscription,
            subscription_metadata=dict(subscription.metadata) if subscription else {},
            starting_balance=customer.balance_minor,
            percent_off=percent_off,
            discount_id=self.new_id("di"),
            discounts=tuple(discounts),
            lists_cut=lists_cut,
            tax=tax,
        )
        self.invoices[invoice.id] = invoice
        self.keep(invoice)
        if subscription:
            subscription.latest_invoice = invoice.id
        self.emit("invoice.created", invoice_object(invoice), customer, by_stripe=True)
        self.drafted(invoice)
        return invoice

    def drafted(self, invoice: Invoice) -> None:
        """Note what waited for this invoice; here nothing ever does."""

    def finalize(self, invoice: Invoice) -> None:
        """Open a drafted invoice for payment and use up the customer's credit."""
        invoice.status = "open"
        invoice.finalized_at = self.now
        # Credit (a negative balance) is what neither the total used nor the collection restored.
        invoice.ending_balance = invoice.starting_balance + invoice.total - invoice.amount_due
        self.emit("invoice.finalized", invoice_object(invoice), invoice.customer, by_stripe=True)
        self._rebalance(invoice.customer, invoice.ending_balance)

    def mark_paid(self, invoice: Invoice) -> None:
        """Mark an invoice paid, with the intent that was collected for it, if any."""
        invoice.status = "paid"
        invoice.paid_at = self.now
        invoice.amount_paid = invoice.amount_due
        invoice.next_attempt = None
        if invoice.intent:
            invoice.attempts += 1
            invoice.payment_id = self.new_id("inpay")
            if invoice.intent.charge:
                invoice.intent.charge.sale_id = invoice.id
        self.expected.charged(invoice)
        drawn = invoice_object(invoice)
        self.emit("invoice.paid", drawn, invoice.customer, by_stripe=True)
        self.emit("invoice.payment_succeeded", drawn, invoice.customer, by_stripe=True)
        if invoice.intent:
            self.emit(
                "invoice_payment.paid",
                invoice_payment_object(invoice),
                invoice.customer,
                by_stripe=True,
            )

    def pay(self, invoice: Invoice) -> None:
        """Collect what is due on an open invoice and mark it paid."""
        if invoice.amount_due > 0:
            self.collect(self.intent_of(invoice))
        self.mark_paid(invoice)

    def refuse(
        self,
        invoice: Invoice,
        *,
        retry_at: int | None,
        action: bool = False,
        code: str = "insufficient_funds",
    ) -> None:
        """Fail an attempt on an open invoice; `retry_at` None means no further try."""
        intent = self.intent_of(invoice)
        self.decline(intent, "authentication_required" if action else code)
        invoice.attempts += 1
        invoice.next_attempt = retry_at
        self.expected.unpaid(invoice)
        drawn = invoice_object(invoice)
        self.emit("invoice.payment_failed", drawn, invoice.customer, by_stripe=True)
        if action:
            self.emit("invoice.payment_action_required", drawn, invoice.customer, by_stripe=True)

    def void(self, invoice: Invoice) -> None:
        """Withdraw an unpaid invoice."""
        invoice.status = "void"
        invoice.voided_at = self.now
        invoice.next_attempt = None
        self.expected.unpaid(invoice)
        self.emit("invoice.voided", invoice_object(invoice), invoice.customer)

    def intent_of(self, invoice: Invoice) -> Intent:
        """Return the invoice's intent, opened when there is none."""
        return invoice.intent or self.start_intent(
            invoice.customer, invoice.amount_due, description=invoice.number, invoice=invoice
        )

    def _charge(self, intent: Intent, status: str) -> Charge:
        charge = Charge(self.new_id("ch"), intent, self.now, status)
        intent.charge = charge
        self.keep(charge)
        return charge

    def _rebalance(self, customer: Customer, balance_minor: int) -> None:
        if customer.balance_minor == balance_minor:
            return
        previous = {"balance": customer.balance_minor}
        customer.balance_minor = balance_minor
        self.emit("customer.updated", customer_object(customer), customer, previous)
