"""Contracts that a request signs: first invoice, trial, incomplete, paused. No I/O."""

from dataclasses import dataclass, field

from sandbox.simulate.billing import remember
from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.coupons import Discount
from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.records import Invoice, Pick, Session
from sandbox.stripe.billing.changing import Changing
from sandbox.stripe.paying.methods import Method


@dataclass(frozen=True, slots=True)
class Deal:
    """What a request wants to sign; `trial_end` is a moment, or None without a trial."""

    customer: Customer
    lines: tuple[tuple[Price, int], ...]
    metadata: dict[str, str] = field(default_factory=dict)
    trial_end: int | None = None
    method: Method | None = None
    discounts: tuple[Discount, ...] = ()
    # Whether nothing is tried until somebody pays the first invoice.
    waits: bool = False
    fees: tuple[tuple[Price, int], ...] = ()


class Signing(Changing):
    """Contracts without a checkout session."""

    def sign(self, deal: Deal) -> Subscription:
        """Make a contract; it is active, trialing, or incomplete then."""
        customer = deal.customer
        customer.currency = customer.currency or deal.lines[0][0].currency
        subscription = self._signed(deal)
        trial = subscription.trial_end is not None
        lines = self._period_lines(subscription, trial=trial)
        lines += [self._fee(Pick(price, count, "")) for price, count in deal.fees]
        lines = self.discounted(lines, subscription)
        invoice = self.new_invoice(customer, "subscription_create", lines, subscription)
        remember(subscription, invoice.id, lines)
        self.say(subscription, "created", by_stripe=False)
        self.finalize(invoice)
        if invoice.amount_due and deal.waits:
            self.intent_of(invoice)
        elif invoice.amount_due and not self.pays(customer, subscription):
            self.refuse(invoice, retry_at=None, code=self.reason(invoice))
        else:
            self.receive(invoice)
        return subscription

    def _signed(self, deal: Deal) -> Subscription:
        price, quantity = deal.lines[0]
        picks = tuple(Pick(one, count, "") for one, count in deal.lines)
        session = Session(
            id="",
            customer=deal.customer,
            mode="subscription",
            price=price,
            quantity=quantity,
            created=self.now,
            metadata={},
            amount_subtotal=0,
            amount_total=0,
            contract_metadata=dict(deal.metadata),
            flexible=True,
            basket=picks,
            discounts=deal.discounts,
        )
        if deal.trial_end:
            session.trial_days = 1
        subscription = self._contract(session)
        if deal.trial_end:
            subscription.trial_end = subscription.period_end = deal.trial_end
        self._fill(subscription, session)
        subscription.method_id = deal.method.id if deal.method else None
        return subscription

    def expire_incomplete(self, subscription: Subscription) -> None:
        """Give up on a contract whose first invoice nobody paid."""
        before = subscription_object(subscription)
        subscription.status, subscription.ended_at = "incomplete_expired", self.now
        self.report(subscription, before)
        invoice = self.invoices.get(subscription.latest_invoice or "")
        if invoice and invoice.status == "open":
            self.void(invoice)

    def pause_collecting(
        self, subscription: Subscription, behavior: str | None, resumes_at: int | None
    ) -> None:
        """Stop to collect, or begin again with None."""
        before = subscription_object(subscription)
        subscription.pause_behavior, subscription.resumes_at = behavior, resumes_at
        subscription.was_paused = subscription.was_paused or behavior is not None
        self.report(subscription, before, by_stripe=False)

    def end_trial(self, subscription: Subscription, at: int) -> None:
        """Let a trial end at another moment; one that is over by then ends now."""
        before = subscription_object(subscription)
        subscription.trial_end = subscription.period_end = max(at, self.now)
        subscription.anchor, subscription.turns = subscription.trial_end, 0
        self.report(subscription, before, by_stripe=False)
        if at <= self.now:
            self.finish_draft(self.turn(subscription))

    def finish_draft(self, invoice: Invoice) -> None:
        """Open a draft and collect it, as far as its contract's pause lets it."""
        pause = invoice.subscription.pause_behavior if invoice.subscription else None
        if pause is None:
            super().finish_draft(invoice)
            return
        self.finalize(invoice)
        if pause == "void":
            self.void(invoice)
        else:
            self.give_up_invoice(invoice)

    def give_up_invoice(self, invoice: Invoice) -> None:
        """Expect no money for an invoice any more."""
        invoice.status, invoice.uncollectible_at = "uncollectible", self.now
        invoice.next_attempt = None
        drawn = invoice_object(invoice)
        self.emit("invoice.marked_uncollectible", drawn, invoice.customer)
