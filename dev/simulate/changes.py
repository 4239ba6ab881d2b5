"""What buyers do to a running subscription: change it, cancel it, take that back, pause it."""

from dev.simulate.lines import proration_line
from dev.simulate.objects import subscription_object
from dev.simulate.plans import Plan
from dev.simulate.records import Invoice, Subscription
from dev.simulate.subscriptions import Subscriptions, contract_metadata


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
        before = subscription_object(subscription)
        left = (subscription.period_end - self.now) / (
            subscription.period_end - subscription.period_start
        )
        old = proration_line(self.new_id("il"), subscription, -left, self.now)
        subscription.price = self.price(plan, subscription.price.currency)
        subscription.quantity = quantity
        subscription.metadata = contract_metadata(subscription.customer, plan)
        new = proration_line(self.new_id("il"), subscription, left, self.now)
        self.report(subscription, before, by_stripe=False)
        before = subscription_object(subscription)
        invoice = self.new_invoice(
            subscription.customer, "subscription_update", [old, new], subscription
        )
        self.report(subscription, before)
        self.finalize(invoice)
        self.pay(invoice)
        return invoice

    def pause_collection(self, subscription: Subscription, behavior: str | None) -> None:
        """Stop collecting (`void`, `keep_as_draft`, …), or start again with None."""
        before = subscription_object(subscription)
        subscription.pause_behavior = behavior
        self.report(subscription, before, by_stripe=False)

    def pause(self, subscription: Subscription) -> None:
        """Pause for real: no access, no invoices."""
        subscription.status = "paused"
        subscription.pause_requested = True
        self.say(subscription, "paused")

    def resume(self, subscription: Subscription) -> None:
        """End a real pause."""
        subscription.status = "active"
        subscription.pause_requested = False
        self.say(subscription, "resumed")
