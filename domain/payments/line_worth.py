"""What an invoice line is worth in tokens: contract §5, rules 1 to 5, in this order.

A line is worth what its money buys. Where the amount does not say that (a trial, a free plan, a
proration whose discount is hidden, a currency the plan has no price in), the terms do.
"""

from fractions import Fraction

from domain.catalogue.plans import Plan
from domain.payments.details import InvoiceDetails
from domain.payments.line_plans import Invoiced
from domain.payments.lines import Line
from domain.payments.periods import full_seconds

Tokens = Fraction | int


class UnknownWorth(Exception):  # noqa: N818 - no error: it is shown until a fact tells.
    """Nothing tells what a line is worth; the message says why, in words."""


def tokens_of_line(line: Line, plan: Plan, invoiced: Invoiced, details: InvoiceDetails) -> Tokens:
    """Tokens of one line of an invoice, not rounded.

    Raises `UnknownWorth` where nothing tells.
    """
    if details.starts_subscription and _is_trial(line, plan, invoiced, details):
        return plan.trial_tokens
    unit_amount_minor = plan.prices.get(invoiced.currency)
    if unit_amount_minor == 0:
        return 0 if line.is_proration else plan.tokens * line.quantity
    if line.hides_discount:
        return _sign(line, invoiced) * _by_time(line, plan, invoiced)
    if unit_amount_minor is None:
        return _by_terms(line, plan, invoiced)
    return Fraction(plan.tokens * line.amount_minor, unit_amount_minor)


def _by_terms(line: Line, plan: Plan, invoiced: Invoiced) -> Tokens:
    """What is charged in a currency that the plan has no price in."""
    if line.amount_minor == 0:
        return 0
    if line.is_proration:
        return _sign(line, invoiced) * _by_time(line, plan, invoiced)
    return plan.tokens * line.quantity


def _is_trial(line: Line, plan: Plan, invoiced: Invoiced, details: InvoiceDetails) -> bool:
    """A first line of nothing, for the span of a trial that some report tells of.

    Where the span was not kept, any first line of nothing was taken for a trial; it stays one
    until the event is read anew.
    """
    is_nothing = line.amount_minor == 0 and line.quantity > 0 and not line.is_proration
    if not is_nothing or not any(plan.prices.values()):
        return False
    return details.lacks_periods or invoiced.sold.had_trial(line.period_start, line.period_end)


def _sign(line: Line, invoiced: Invoiced) -> int:
    if line.credits or line.amount_minor < 0:
        return -1
    if line.amount_minor > 0 or any(
        other.credits for other in invoiced.lines if other.is_proration
    ):
        return 1
    raise UnknownWorth(
        "a proration of 0 whose discount is hidden does not say whether it gives or takes"
    )


def _by_time(line: Line, plan: Plan, invoiced: Invoiced) -> Fraction:
    """The part of the allowance that the line's period is of the full one."""
    start, end = line.period_start, line.period_end
    if start is None or end is None or plan.interval is None:
        raise UnknownWorth("a proration without a period, or of a plan without one")
    item = invoiced.item_of(line)
    reported = item.periods if item else ()
    full = full_seconds(end, plan.interval, plan.interval_count, reported)
    return Fraction(plan.tokens) * line.quantity * Fraction(end - start, full)
