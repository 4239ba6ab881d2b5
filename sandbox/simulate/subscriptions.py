"""Subscriptions: first purchase, trial, renewal, dunning and their end.

Emits what field experience says Stripe emits for them, same-second chains included. No I/O.
"""

from sandbox.simulate.contract_records import Customer, Line, Subscription
from sandbox.simulate.engine import after_interval, changed
from sandbox.simulate.invoice_objects import upcoming_object
from sandbox.simulate.lines import fee_line, period_line
from sandbox.simulate.money_records import Intent
from sandbox.simulate.objects import Json, customer_object, subscription_object
from sandbox.simulate.packages import Packages, purchase_metadata
from sandbox.simulate.payment_objects import card_object
from sandbox.simulate.payments import DRAFT_SECONDS
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Invoice, Session

# Stripe announces a renewal, and the end of a trial, this long before.
NOTICE_SECONDS = 3 * 86400
# Stripe gives up on an unpaid first invoice after this long.
INCOMPLETE_SECONDS = 23 * 3600


class Subscriptions(Packages):
    """Selling what renews; `Changes` is what buyers do to it afterwards."""

    def subscribe(
        self,
        customer: Customer,
        plan: Plan,
        *,
        quantity: int = 1,
        percent_off: int = 0,
        trial: bool = False,
        inline: bool = False,
        setup_fee_minor: int = 0,
    ) -> Subscription:
        """Sell a first period, or start a trial, through hosted checkout."""
        session = self.open_session(
            customer, plan, quantity=quantity, percent_off=percent_off, inline=inline
        )
        self.wait(self.chance.randint(30, 120))
        self.announce(customer)
        session.trial_days = plan.trial_days if trial else 0
        return self.contract(session, setup_fee_minor=setup_fee_minor)

    def contract(self, session: Session, *, setup_fee_minor: int = 0) -> Subscription:
        """Complete a session with a contract: its first invoice is paid, or its trial starts.

        A session whose intent has collected its money already pays the invoice with that.
        """
        customer, trial = session.customer, session.trial_days > 0
        subscription = self._contract(session)
        session.amount_total += setup_fee_minor
        session.amount_subtotal += setup_fee_minor
        if trial:
            session.amount_total = session.amount_subtotal = 0
        percent_off = session.percent_off
        lines = [period_line(self.new_id("il"), subscription, percent_off=percent_off, trial=trial)]
        if setup_fee_minor:
            fee_price = self.new_id("price")
            lines.append(
                fee_line(self.new_id("il"), fee_price, customer.currency, setup_fee_minor, self.now)
            )
        self.emit("payment_method.attached", card_object(customer, self.now), customer)
        session.invoice = self._first_invoice(subscription, lines, session)
        session.subscription = subscription
        # A session that took no money by itself says so, as does one with a full discount.
        status = "paid" if session.invoice.status == "paid" else "unpaid"
        self.complete(session, status if session.amount_total else "no_payment_required")
        return subscription

    def fail_first(self, customer: Customer, plan: Plan) -> Subscription:
        """Start a subscription through the API whose first payment never succeeds."""
        self.announce(customer)
        session = self.open_session(customer, plan)
        subscription = self._contract(session)
        # No session tells whose it is, so the contract must.
        subscription.metadata = purchase_metadata(customer, plan)
        invoice = self.new_invoice(
            customer,
            "subscription_create",
            [period_line(self.new_id("il"), subscription)],
            subscription,
        )
        self.finalize(invoice)
        self.say(subscription, "created", by_stripe=False)
        self.refuse(invoice, retry_at=None, action=True)
        self.wait(INCOMPLETE_SECONDS)
        before = subscription_object(subscription)
        subscription.status = "incomplete_expired"
        subscription.ended_at = self.now
        self.report(subscription, before)
        self.void(invoice)
        return subscription

    def begin_cycle(self, subscription: Subscription) -> Invoice:
        """Start the next period: the period moves, its invoice is drafted, then finalised."""
        self.until(subscription.period_end - NOTICE_SECONDS)
        self.announce_end(subscription)
        self.until(subscription.period_end)
        invoice = self.turn(subscription)
        self.wait(DRAFT_SECONDS)
        self.finalize(invoice)
        return invoice

    def turn(self, subscription: Subscription) -> Invoice:
        """Move a subscription into its next period and draft that period's invoice."""
        before = subscription_object(subscription)
        subscription.period_start = subscription.period_end
        subscription.period_end = after_interval(
            subscription.period_start,
            subscription.price.plan.interval or "month",
            subscription.price.plan.interval_count,
        )
        if subscription.status == "trialing":
            subscription.status = "active"
        self.report(subscription, before)
        before = subscription_object(subscription)
        line = period_line(self.new_id("il"), subscription)
        invoice = self.new_invoice(
            subscription.customer, "subscription_cycle", [line], subscription
        )
        # The second update shares the first one's second; only its previous values tell.
        self.report(subscription, before)
        return invoice

    def renew(self, subscription: Subscription) -> Invoice:
        """Renew for one paid period."""
        invoice = self.begin_cycle(subscription)
        self.pay(invoice)
        return invoice

    def fall_behind(
        self, subscription: Subscription, invoice: Invoice, *, action: bool = False
    ) -> None:
        """Fail an attempt at a renewal and wait for the next one."""
        self.miss(subscription, invoice, retry_days=3, action=action)
        self.wait(3 * 86400)

    def miss(
        self,
        subscription: Subscription,
        invoice: Invoice,
        *,
        retry_days: int,
        action: bool = False,
    ) -> None:
        """Fail an attempt at a renewal; the subscription is past due from the first one on."""
        self.refuse(invoice, retry_at=self.now + retry_days * 86400, action=action)
        if subscription.status == "active":
            before = subscription_object(subscription)
            subscription.status = "past_due"
            self.report(subscription, before)

    def catch_up(self, subscription: Subscription, invoice: Invoice) -> None:
        """Pay a renewal that had failed."""
        self.pay(invoice)
        before = subscription_object(subscription)
        subscription.status = "active"
        self.report(subscription, before)

    def give_up(self, subscription: Subscription, invoice: Invoice, *, to: str) -> None:
        """End dunning: `to` is `canceled` or `unpaid`."""
        self.refuse(invoice, retry_at=None)
        if to == "canceled":
            self.end(subscription, "payment_failed")
            return
        before = subscription_object(subscription)
        subscription.status = "unpaid"
        self.report(subscription, before)

    def end(self, subscription: Subscription, reason: str) -> None:
        """End the contract now."""
        subscription.status = "canceled"
        subscription.cancel_reason = reason
        subscription.canceled_at = subscription.canceled_at or self.now
        subscription.ended_at = self.now
        self.say(subscription, "deleted")

    def report(self, subscription: Subscription, before: Json, *, by_stripe: bool = True) -> None:
        """Emit an update with what it changed; nothing when nothing changed."""
        after = subscription_object(subscription)
        previous = changed(before, after)
        if previous:
            self.say(subscription, "updated", previous, by_stripe=by_stripe)

    def delete_customer(self, customer: Customer) -> None:
        """Delete the Stripe customer, which ends what still runs."""
        for subscription in self.expected.subscriptions.values():
            if subscription.customer is customer and subscription.ended_at is None:
                self.end(subscription, "cancellation_requested")
        customer.deleted = True
        self.emit("customer.deleted", customer_object(customer), customer)

    def _contract(self, session: Session) -> Subscription:
        plan, start = session.price.plan, self.now
        trial_end = start + session.trial_days * 86400 if session.trial_days else None
        customer = session.customer
        flexible = session.flexible
        if flexible is None:
            flexible = customer.version.basil and self.chance.choice((True, False))
        subscription = Subscription(
            id=self.new_id("sub"),
            item_id=self.new_id("si", 14),
            customer=customer,
            price=session.price,
            quantity=session.quantity,
            created=start,
            period_start=start,
            period_end=trial_end
            or after_interval(start, plan.interval or "month", plan.interval_count),
            status="trialing" if trial_end else "incomplete",
            flexible=flexible,
            metadata=dict(session.contract_metadata),
            trial_start=start if trial_end else None,
            trial_end=trial_end,
        )
        self.keep(subscription)
        self.expected.subscribed(subscription)
        return subscription

    def _first_invoice(
        self, subscription: Subscription, lines: list[Line], session: Session
    ) -> Invoice:
        # Draft, contract, payment and activation usually share one second.
        customer = subscription.customer
        invoice = self.new_invoice(
            customer, "subscription_create", lines, subscription, percent_off=session.percent_off
        )
        self.say(subscription, "created", by_stripe=False)
        before = subscription_object(subscription)
        self.finalize(invoice)
        if session.intent:
            self._pay_with(invoice, session.intent)
        else:
            self.pay(invoice)
        if subscription.status == "incomplete":
            subscription.status = "active"
        self.report(subscription, before)
        before = subscription_object(subscription)
        subscription.method_id = customer.method_id
        self.report(subscription, before)
        return invoice

    def _pay_with(self, invoice: Invoice, intent: Intent) -> None:
        # The page collected the money before there was a contract; a bank debit is on its way.
        invoice.intent, intent.invoice_id = intent, invoice.id
        if intent.status == "succeeded":
            self.mark_paid(invoice)

    def announce_end(self, subscription: Subscription) -> None:
        """Tell, some days ahead, that the period or the trial ends."""
        subscription.announced_end = subscription.period_end
        if subscription.status == "trialing":
            self.say(subscription, "trial_will_end")
            return
        preview = Invoice(
            id="",
            customer=subscription.customer,
            currency=subscription.price.currency,
            created=subscription.period_end,
            number="",
            reason="upcoming",
            lines=[period_line(self.new_id("il"), subscription)],
            subscription=subscription,
            subscription_metadata=dict(subscription.metadata),
        )
        drawn = upcoming_object(preview)
        self.emit("invoice.upcoming", drawn, subscription.customer, by_stripe=True)

    def say(
        self,
        subscription: Subscription,
        what: str,
        previous: Json | None = None,
        *,
        by_stripe: bool = True,
    ) -> None:
        """Emit `customer.subscription.<what>` with the contract as it stands."""
        self.emit(
            f"customer.subscription.{what}",
            subscription_object(subscription),
            subscription.customer,
            previous,
            by_stripe=by_stripe,
        )
