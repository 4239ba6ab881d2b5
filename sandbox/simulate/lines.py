"""The lines of a subscription's invoices. Pure: ids come in, lines go out."""

from sandbox.simulate.contract_records import Line, Price, Subscription
from sandbox.simulate.plans import Plan


def period_line(
    line_id: str, subscription: Subscription, *, percent_off: int = 0, trial: bool = False
) -> Line:
    """Bill the subscription's current period, or note its trial at no cost."""
    price = subscription.price
    amount = 0 if trial else price.unit_minor * subscription.quantity
    what = f"Trial period for {price.plan.name}" if trial else price.plan.name
    return Line(
        id=line_id,
        amount=amount,
        description=f"{subscription.quantity} x {what}",
        price=price,
        plan=price.plan,
        quantity=subscription.quantity,
        period_start=subscription.period_start,
        period_end=subscription.period_end,
        trial=trial,
        item_id=subscription.item_id,
        discount=amount * percent_off // 100,
    )


def proration_line(line_id: str, subscription: Subscription, share: float, now: int) -> Line:
    """Bill a share of the current period from now on; a negative share gives it back."""
    price = subscription.price
    return Line(
        id=line_id,
        amount=round(price.unit_minor * subscription.quantity * share),
        description=f"{'Unused' if share < 0 else 'Remaining'} time on {price.plan.name}",
        price=price,
        plan=price.plan,
        quantity=subscription.quantity,
        period_start=now,
        period_end=subscription.period_end,
        proration=True,
        item_id=subscription.item_id,
    )


def fee_line(line_id: str, price_id: str, currency: str, amount: int, now: int) -> Line:
    """Bill a one-time fee at a price the catalogue does not know."""
    fee = Plan(0, "fee", "Setup fee", 0, None, {currency: amount})
    price = Price(price_id, fee, currency, amount, known=False, created=now)
    return Line(line_id, amount, "Setup fee", price, None, 1, now, now)
