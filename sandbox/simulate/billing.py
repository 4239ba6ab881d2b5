"""The lines of a contract with discounts: a whole interval, a part of one, and what is beside it.

The seller's own arithmetic: shares follow from the dates that the seller chose, amounts from the
price, the quantity and the discounts of that moment.
"""

from fractions import Fraction

from sandbox.simulate.contract_records import Item, Line, Subscription
from sandbox.simulate.coupons import Discount, off_by_discount
from sandbox.simulate.engine import Engine, after_interval


def interval_after(subscription: Subscription, moment: int, count: int) -> int:
    """Return the moment some of the contract's intervals later, or earlier."""
    plan = subscription.price.plan
    return after_interval(moment, plan.interval or "month", plan.interval_count * count)


def full_amount(subscription: Subscription) -> int:
    """Return what a whole interval costs before discounts."""
    quantity = Fraction(subscription.quantity_decimal or subscription.quantity)
    return round(subscription.price.unit_minor * quantity)


def whole_line(
    account: Engine, subscription: Subscription, *, trial: bool = False, free: bool = False
) -> Line:
    """Bill the current period whole, or not at all."""
    amount = 0 if trial or free else full_amount(subscription)
    discounts = subscription.discounts if amount else []
    parts = off_by_discount(amount, discounts)
    plan = subscription.price.plan
    return Line(
        id=account.new_id("il"),
        amount=amount,
        description=f"{subscription.quantity} x {plan.name}",
        price=subscription.price,
        plan=plan if subscription.sold else None,
        quantity=subscription.quantity,
        period_start=subscription.period_start,
        period_end=subscription.period_end,
        trial=trial,
        item_id=subscription.item_id,
        discount=sum(part for _, part in parts),
        discount_ids=tuple(discount.id for discount in discounts),
        parts=parts,
        quantity_decimal=subscription.quantity_decimal,
    )


def part_line(
    account: Engine,
    subscription: Subscription,
    share: Fraction,
    discounts: list[Discount],
    credited: tuple[str, tuple[str, ...]] | None = None,
) -> Line:
    """Bill a share of an interval up to the period's end; less than 0 gives it back.

    Only a contract that itemizes shows what discounts take off; any other nets the amount.
    """
    full = full_amount(subscription)
    off = off_by_discount(full, discounts)
    itemized = subscription.proration_discounts == "itemized"
    shown = tuple((discount_id, round(part * share)) for discount_id, part in off)
    # Of a discount it has netted a classic contract says nothing, a flexible one that it took 0.
    netted = tuple((discount_id, 0) for discount_id, _ in off) if subscription.flexible else ()
    billed = full if itemized else full - sum(part for _, part in off)
    plan = subscription.price.plan
    time = "Unused" if share < 0 else "Remaining"
    return Line(
        id=account.new_id("il"),
        amount=round(billed * share),
        description=f"{time} time on {subscription.quantity} x {plan.name}",
        price=subscription.price,
        plan=plan if subscription.sold else None,
        quantity=subscription.quantity,
        period_start=account.now,
        period_end=subscription.period_end,
        proration=True,
        item_id=subscription.item_id,
        discount=sum(part for _, part in shown) if itemized else 0,
        discount_ids=tuple(discount_id.id for discount_id in discounts),
        parts=shown if itemized else netted,
        share=share,
        credited=credited,
        quantity_decimal=subscription.quantity_decimal,
    )


def item_line(
    account: Engine, item: Item, period: tuple[int, int], *, usage: int = 0, trial: bool = False
) -> Line:
    """Bill an item beside the plan for a period: its quantity, or what was used of it."""
    metered = item.quantity is None
    quantity = usage if item.quantity is None else item.quantity
    return Line(
        id=account.new_id("il"),
        amount=0 if trial else item.price.unit_minor * quantity,
        description=f"{quantity} x {item.price.plan.name}",
        price=item.price,
        plan=item.plan,
        quantity=quantity,
        period_start=period[0],
        period_end=period[1],
        trial=trial and not metered,
        item_id=item.id,
    )


def remember(subscription: Subscription, invoice_id: str, lines: list[Line]) -> None:
    """Note which line billed the item last: a credit gives that one back."""
    for line in lines:
        if line.item_id == subscription.item_id and line.amount >= 0:
            subscription.billed, subscription.billed_on = line, invoice_id
