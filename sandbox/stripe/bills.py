"""What contracts bill: several items, fees beside them, and what coupons take off.

Lists in events and answers are cut as Stripe cuts them. No I/O.
"""

from collections.abc import Sequence
from dataclasses import replace

from sandbox.simulate.billing import interval_after, item_line, remember, whole_line
from sandbox.simulate.contract_records import Customer, Item, Line, Subscription
from sandbox.simulate.coupons import Coupon, Discount
from sandbox.simulate.deals import use_up
from sandbox.simulate.discount_objects import discount_object
from sandbox.simulate.engine import after_interval
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.payment_objects import card_object
from sandbox.simulate.records import Invoice, Pick, Session
from sandbox.stripe.checkouts import Checkouts
from sandbox.stripe.offers import spread

# As many entries as a list inside another object shows.
SHOWN = 10


class Bills(Checkouts):
    """Contracts as they are signed and as they turn."""

    def discount(self, coupon: Coupon, promotion_id: str | None = None) -> Discount:
        """Put a coupon to use from now on."""
        end = after_interval(self.now, "month", coupon.months) if coupon.months else None
        return Discount(self.new_id("di"), coupon, self.now, end, promotion_id)

    def new_invoice(
        self,
        customer: Customer,
        reason: str,
        lines: list[Line],
        subscription: Subscription | None = None,
        *,
        percent_off: int = 0,
        discounts: Sequence[Discount] = (),
        lists_cut: int | None = SHOWN,
        tax: int = 0,
        currency: str = "",
    ) -> Invoice:
        """Draft an invoice with its contract's discounts and a list that is cut."""
        return super().new_invoice(
            customer,
            reason,
            lines,
            subscription,
            percent_off=percent_off,
            discounts=discounts or (subscription.discounts if subscription else ()),
            lists_cut=lists_cut,
            tax=tax,
            currency=currency,
        )

    def contract(self, session: Session, *, setup_fee_minor: int = 0) -> Subscription:
        """Complete a session with a contract of all that was in it."""
        del setup_fee_minor
        customer, trial = session.customer, session.trial_days > 0
        subscription = self._contract(session)
        self._fill(subscription, session)
        lines = self._period_lines(subscription, trial=trial)
        lines += [self._fee(pick) for pick in session.picks if not pick.price.plan.recurring]
        lines = _discounted(lines, subscription.discounts)
        self.emit("payment_method.attached", card_object(customer, self.now), customer)
        session.invoice = self._first_invoice(subscription, lines, session)
        session.subscription = subscription
        remember(subscription, session.invoice.id, lines)
        if session.invoice.subtotal:
            before = subscription_object(subscription)
            use_up(self, subscription)
            self.report(subscription, before)
        status = "paid" if session.invoice.status == "paid" else "unpaid"
        self.complete(session, status if session.amount_total else "no_payment_required")
        return subscription

    def turn(self, subscription: Subscription) -> Invoice:
        """Move a contract into its next period and draft that period's invoice."""
        before = subscription_object(subscription)
        subscription.turns += 1
        subscription.period_start = subscription.period_end
        anchor = subscription.anchor or subscription.created
        subscription.period_end = interval_after(subscription, anchor, subscription.turns)
        self._end_discounts(subscription)
        if subscription.status == "trialing":
            subscription.status = "active"
        self.report(subscription, before)
        before = subscription_object(subscription)
        lines = _discounted(self._period_lines(subscription), subscription.discounts)
        customer = subscription.customer
        invoice = self.new_invoice(customer, "subscription_cycle", lines, subscription)
        remember(subscription, invoice.id, lines)
        use_up(self, subscription)
        self.report(subscription, before)
        return invoice

    def reduce_contract(self, subscription: Subscription, discounts: Sequence[Discount]) -> None:
        """Take something else off a running contract, from its next bill on."""
        before = subscription_object(subscription)
        for old in subscription.discounts:
            self._say_discount(subscription, old, "deleted")
        subscription.discounts = list(discounts)
        for new in discounts:
            self._say_discount(subscription, new, "created")
        self.report(subscription, before, by_stripe=False)

    def _fill(self, subscription: Subscription, session: Session) -> None:
        trial_end = subscription.trial_end
        subscription.anchor = trial_end or subscription.created
        subscription.turns = 0 if trial_end else 1
        subscription.proration_discounts = "included"
        subscription.lists_cut = SHOWN
        subscription.discounts = [
            self.discount(discount.coupon, discount.promotion_id) for discount in session.discounts
        ]
        beside = [pick for pick in session.picks if pick.price.plan.recurring][1:]
        subscription.more = [
            Item(self.new_id("si", 14), pick.price, pick.quantity) for pick in beside
        ]

    def _period_lines(self, subscription: Subscription, *, trial: bool = False) -> list[Line]:
        period = (subscription.period_start, subscription.period_end)
        own = whole_line(self, subscription, trial=trial)
        more = [item_line(self, item, period, trial=trial) for item in subscription.more]
        return [own, *more]

    @staticmethod
    def discounted(lines: Sequence[Line], subscription: Subscription) -> list[Line]:
        """Some lines with what a contract's discounts take off them."""
        return _discounted(lines, subscription.discounts)

    def _fee(self, pick: Pick) -> Line:
        name, now = pick.price.plan.name, self.now
        line_id = self.new_id("il")
        return Line(line_id, pick.amount, name, pick.price, None, pick.quantity, now, now)

    def _end_discounts(self, subscription: Subscription) -> None:
        over = [
            discount
            for discount in subscription.discounts
            if discount.end and discount.end <= self.now
        ]
        for discount in over:
            self._say_discount(subscription, discount, "deleted")
        subscription.discounts = [
            discount for discount in subscription.discounts if discount not in over
        ]

    def _say_discount(self, subscription: Subscription, discount: Discount, what: str) -> None:
        customer = subscription.customer
        drawn = discount_object(
            discount,
            customer.version,
            customer_id=customer.reference,
            subscription_id=subscription.id,
        )
        self.emit(f"customer.discount.{what}", drawn, customer)


def _discounted(lines: Sequence[Line], discounts: Sequence[Discount]) -> list[Line]:
    ids = tuple(discount.id for discount in discounts)
    parts = spread([line.amount for line in lines], discounts)
    return [
        replace(
            line,
            discount=sum(off for _, off in taken),
            discount_ids=ids if line.amount else (),
            parts=taken if line.amount else (),
        )
        for line, taken in zip(lines, parts, strict=True)
    ]
