"""What a line of a paid invoice is worth in tokens, as the seller reckons it when billing.

Plain arithmetic from what the seller did: the plan it sold, the amount it charged and, for part
of an interval, the part it chose. Never reads a drawn object.
"""

from collections.abc import Iterable
from fractions import Fraction

from sandbox.simulate.contract_records import Line
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Invoice


def invoice_worth(invoice: Invoice) -> int:
    """Add up what an invoice's lines are worth once it is paid, cut toward zero once."""
    starts = invoice.reason == "subscription_create"
    credited = any(line.credited for line in invoice.lines if line.proration)
    worths = (
        _line_worth(line, line.plan, invoice.currency, starts=starts, credited=credited)
        for line in invoice.lines
        if line.plan is not None
    )
    return int(sum(worths, Fraction(0)))


def _line_worth(line: Line, plan: Plan, currency: str, *, starts: bool, credited: bool) -> Fraction:
    if line.trial and starts and line.quantity > 0 and any(plan.prices.values()):
        return Fraction(plan.trial_tokens)
    price = plan.prices.get(currency)
    if price == 0:
        return Fraction(0) if line.proration else _by_time(plan, line, Fraction(1))
    if _hides_discount(line):
        # Of nothing but zeros none tells which way it goes, unless one of them names its debit.
        counts = line.amount != 0 or credited
        return _by_time(plan, line, _share(line)) if counts else Fraction(0)
    if price is None:
        share = _share(line) if line.proration else Fraction(1)
        return _by_time(plan, line, share) if line.amount else Fraction(0)
    return Fraction(plan.tokens * line.amount, price)


def _hides_discount(line: Line) -> bool:
    names = bool(line.discount_ids)
    return line.proration and names and not any(amount for _, amount in line.parts)


def _share(line: Line) -> Fraction:
    if line.share is None:
        raise ValueError(f"{line.id} is part of an interval, but not said which part")
    return line.share


def _by_time(plan: Plan, line: Line, share: Fraction) -> Fraction:
    return plan.tokens * Fraction(line.quantity_decimal or line.quantity) * share


def plans_of(lines: Iterable[Line]) -> list[Plan]:
    """Return the plans that some lines bill."""
    return [line.plan for line in lines if line.plan is not None]
