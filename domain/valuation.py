"""What a payment is worth in tokens: gross from what was bought, net after what was taken back.

The rule is contract §5, "tokens follow money": a function of facts, never of their order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from domain.catalogue import Catalogue, Plan
from domain.payments import InvoiceDetails, Line

PlanOfLine = Callable[[Line], Plan | None]


@dataclass(frozen=True, slots=True)
class Gross:
    """Tokens bought, and the plan that the payment is shown under.

    `unvalued` says in words what could not be valued and why: no plan is known (yet), or none
    with a price in the invoice's currency.
    """

    tokens: int
    plan: Plan | None
    unvalued: tuple[str, ...] = ()


def plan_of_line(
    line: Line, claimed_plan_id: int | None, catalogue: Catalogue, sold: int
) -> Plan | None:
    """The plan of an invoice line: by its price id, else by the subscription's metadata.

    `claimed_plan_id` is what the subscription or its session named; `sold` is when, in seconds.
    """
    plan = catalogue.by_price(line.price_id)
    if plan is None and line.from_subscription:
        named = claimed_plan_id if line.plan_id is None else line.plan_id
        plan = catalogue.by_id(named, sold)
    return plan


def gross_of_invoice(invoice: InvoiceDetails, plan_of: PlanOfLine) -> Gross:
    """Tokens that a paid invoice stands for: the sum over its lines, truncated once."""
    total = Fraction(0)
    unvalued: list[str] = []
    valued: list[tuple[Line, Plan]] = []
    for line in invoice.lines:
        plan = plan_of(line)
        unit_amount = plan.prices.get(invoice.currency) if plan else None
        if plan is None or unit_amount is None:
            unvalued.append(_why_unvalued(line, plan, invoice.currency))
            continue
        valued.append((line, plan))
        total += _tokens_of_line(line, plan, unit_amount, starts=invoice.starts_subscription)
    return Gross(int(total), _shown_plan(valued), tuple(unvalued))


def _why_unvalued(line: Line, plan: Plan | None, currency: str) -> str:
    if plan is not None:
        return f"plan {plan.id} has no price in {currency}"
    if line.price_id is None:
        return "a line without a price names no plan of the catalogue"
    return f"price {line.price_id} is in no plan of the catalogue"


def _tokens_of_line(line: Line, plan: Plan, unit_amount: int, *, starts: bool) -> Fraction | int:
    if unit_amount == 0:
        return 0 if line.is_proration else plan.tokens * line.quantity
    if line.amount_minor == 0:
        # Nothing is charged for a trial; the price itself is above zero.
        return plan.trial_tokens if starts and not line.is_proration else 0
    return Fraction(plan.tokens * line.amount_minor, unit_amount)


def _shown_plan(valued: Sequence[tuple[Line, Plan]]) -> Plan | None:
    """What was bought: the first plan charged for, else the first one named."""
    charged = [plan for line, plan in valued if line.amount_minor > 0]
    return next(iter(charged or [plan for _, plan in valued]), None)


def net_tokens(gross: int, taken_minor: int, paid_minor: int) -> int:
    """What is left of `gross` when `taken_minor` of `paid_minor` went back.

    `gross - ceil(gross * taken / paid)`, taken capped at paid. Nothing paid or a negative gross:
    net is gross.
    """
    if paid_minor <= 0 or gross <= 0:
        return gross
    taken = min(taken_minor, paid_minor)
    return gross - -(-gross * taken // paid_minor)
