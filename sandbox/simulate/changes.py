"""What buyers do to a running subscription: change it, cancel it, take that back, pause it."""

from sandbox.simulate.contract_records import Line, Price, Subscription
from sandbox.simulate.engine import after_interval
from sandbox.simulate.lines import period_line, proration_line
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.packages import contract_metadata
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Invoice
from sandbox.simulate.subscriptions import Subscriptions


class Changes(Subscriptions):
    """Changing what renews."""

    def schedule_cancel(self, subscription: Subscription) -> None:
        """Cancel at the period's end, in the words of the billing mode."""
        before = subscription_object(subscription)
        subscription.cancel_at_period_end = not subscription.flexible
        subscription.cancel_at = subscription.period_end
        subscription.canceled_at = self.now
        subscription.cancel_reason = "cancellation_requested"
        self.report(subscription, before, by_stripe=False)

    def undo_cancel(self, subscription: Subscription) -> None:
        """Take a scheduled cancellation back."""
        before = subscription_object(subscription)
        subscription.cancel_at_period_end = False
        subscription.cancel_at = None
        subscription.canceled_at = None
        subscription.cancel_reason = None
        self.report(subscription, before, by_stripe=False)

    def change(self, subscription: Subscription, plan: Plan, quantity: int) -> Invoice:
        """Change plan or quantity now and bill the difference at once."""
        metadata = contract_metadata(subscription.customer, plan)
        price = self.price(plan, subscription.price.currency)
        invoice = self.switch(subscription, price, quantity, metadata)
        self.pay(invoice)
        return invoice

    def switch(
        self, subscription: Subscription, price: Price, quantity: int, metadata: dict[str, str]
    ) -> Invoice:
        """Change what is sold now; returns the open invoice of the difference.

        Another interval starts a new period, of which all is billed.
        """
        before = subscription_object(subscription)
        lines = self._swap(subscription, price, quantity)
        subscription.metadata = metadata
        self.report(subscription, before, by_stripe=False)
        before = subscription_object(subscription)
        invoice = self.new_invoice(
            subscription.customer, "subscription_update", lines, subscription
        )
        self.report(subscription, before)
        self.finalize(invoice)
        return invoice

    def _swap(self, subscription: Subscription, price: Price, quantity: int) -> list[Line]:
        left = (subscription.period_end - self.now) / (
            subscription.period_end - subscription.period_start
        )
        old = proration_line(self.new_id("il"), subscription, -left, self.now)
        plan, old_plan = price.plan, subscription.price.plan
        same_interval = (plan.interval, plan.interval_count) == (
            old_plan.interval,
            old_plan.interval_count,
        )
        subscription.price, subscription.quantity = price, quantity
        if same_interval:
            return [old, proration_line(self.new_id("il"), subscription, left, self.now)]
        subscription.anchor = subscription.period_start = self.now
        subscription.period_end = after_interval(
            self.now, plan.interval or "month", plan.interval_count
        )
        return [old, period_line(self.new_id("il"), subscription)]

    def pause_collection(self, subscription: Subscription, behavior: str | None) -> None:
        """Stop collecting (`void`, `keep_as_draft`, …), or start again with None."""
        before = subscription_object(subscription)
        subscription.pause_behavior = behavior
        self.report(subscription, before, by_stripe=False)

    def pause(self, subscription: Subscription) -> None:
        """Pause for real: no access, no invoices."""
        subscription.status = "paused"
        subscription.paused_at = self.now
        self.say(subscription, "paused")

    def resume(self, subscription: Subscription) -> None:
        """End a real pause."""
        subscription.status = "active"
        subscription.paused_at = None
        self.say(subscription, "resumed")
