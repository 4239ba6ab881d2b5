"""What a payment is worth in tokens: gross from what was bought, net after what went back.

The rule is contract §5, "tokens follow money": a function of facts, never of their order.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from domain.catalogue.plans import Catalogue, Plan
from domain.money import money
from domain.payments.details import InvoiceDetails, SessionDetails
from domain.payments.line_plans import Invoiced
from domain.payments.line_worth import UnknownWorth, tokens_of_line
from domain.payments.lines import Line


class Gross(NamedTuple):
    """Tokens bought, and the plan that the payment is shown under.

    `unvalued` says in words what could not be valued and why: no plan is known (yet), or the
    money does not fit it. `asks_line_items` says that a session's line items would tell. `packages`
    are the plans without an interval that were bought, by id, with how many of each.
    """

    tokens: int
    plan: Plan | None
    unvalued: tuple[str, ...] = ()
    asks_line_items: bool = False
    packages: Mapping[int, int] = {}


def packages_in(bought: Iterable[tuple[Plan, int | Fraction]]) -> dict[int, int]:
    """How many of each package; what is no whole one is left out."""
    numbers: dict[int, int] = {}
    for plan, quantity in bought:
        if plan.interval is None and int(quantity) > 0:
            numbers[plan.id] = numbers.get(plan.id, 0) + int(quantity)
    return numbers


def gross_of_invoice(details: InvoiceDetails, invoiced: Invoiced) -> Gross:
    """Tokens that a paid invoice stands for: the sum over its lines, truncated once."""
    total = Fraction(0)
    unvalued: list[str] = []
    valued: list[tuple[Line, Plan]] = []
    for line in invoiced.lines:
        line_plan = invoiced.plan_of(line)
        if line_plan.plan is None:
            unvalued += [line_plan.why_none] if line_plan.why_none else []
            continue
        valued.append((line, line_plan.plan))
        try:
            total += tokens_of_line(line, line_plan.plan, invoiced, details)
        except UnknownWorth as why:
            unvalued.append(str(why))
    if details.is_cut:
        return Gross(0, _shown_plan(valued), ("not all of its lines are known",))
    paid_for = (
        (plan, line.quantity)
        for line, plan in valued
        if line.amount_minor > 0 or not any(plan.prices.values())
    )
    return Gross(int(total), _shown_plan(valued), tuple(unvalued), packages=packages_in(paid_for))


def _shown_plan(valued: Sequence[tuple[Line, Plan]]) -> Plan | None:
    """What was bought: the first plan charged for, else the first one named."""
    charged = [plan for line, plan in valued if line.amount_minor > 0]
    return next(iter(charged or [plan for _, plan in valued]), None)


class Ordered(NamedTuple):
    """A one-time session with what must be known to tell its worth.

    `created` is when the session was made (seconds since 1970), `assigned_plan_id` the plan that
    a person named for the payment.
    """

    id: str
    details: SessionDetails
    created: int
    catalogue: Catalogue
    assigned_plan_id: int | None = None

    @property
    def plan_id(self) -> int | None:
        """The plan that is named: by a person, else by the metadata."""
        if self.assigned_plan_id is not None:
            return self.assigned_plan_id
        return self.details.plan_id

    def gross_of_lines(self) -> Gross | None:
        """What the line items are worth, where they are known and one is of the catalogue."""
        planned = [
            (plan, line.quantity)
            for line in self.details.lines or ()
            if (plan := self.catalogue.by_price(line.price_id))
        ]
        if not planned:
            return None
        tokens = int(sum(plan.tokens * number for plan, number in planned))
        return Gross(tokens, planned[0][0], packages=packages_in(planned))

    def gross_of_plan(self) -> Gross:
        """What the named plan is worth, as often as the subtotal pays for it; else nothing yet."""
        for plan in self._versions():
            if times := self._times(plan):
                return Gross(plan.tokens * times, plan, packages=packages_in([(plan, times)]))
        named = self.catalogue.by_id(self.plan_id, self.created)
        if self.assigned_plan_id is not None and named is not None:
            return Gross(named.tokens, named, packages=packages_in([(named, 1)]))
        asks = self.details.lines is None
        return Gross(0, named, (self._why_nothing(named),), asks_line_items=asks)

    def _versions(self) -> Sequence[Plan]:
        """The terms in force when the plan was first named, then when the session was made."""
        named = self.details.named.get(self.plan_id) if self.plan_id is not None else None
        moments = (self.created if named is None else named, self.created)
        plans = [self.catalogue.by_id(self.plan_id, moment) for moment in moments]
        return [plan for index, plan in enumerate(plans) if plan and plan not in plans[:index]]

    def _times(self, plan: Plan) -> int:
        subtotal = self.details.amount_subtotal_minor
        if subtotal is None:
            subtotal = self.details.amount_total_minor
        price = plan.prices.get(self.details.currency)
        if price == 0:
            return int(subtotal == 0)
        return subtotal // price if price and subtotal % price == 0 else 0

    def _why_nothing(self, plan: Plan | None) -> str:
        paid = money(self.details.amount_total_minor, self.details.currency)
        if self.plan_id is None:
            return f"session {self.id} was paid with {paid} and names no plan"
        if plan is None:
            return f"session {self.id} names plan {self.plan_id}, which the catalogue lacks"
        price = plan.prices.get(self.details.currency)
        costs = (
            f"costs {money(price, self.details.currency)}"
            if price is not None
            else f"has no price in {self.details.currency}"
        )
        return f"session {self.id} was paid with {paid} and names plan {plan.id}, which {costs}"


def net_tokens(gross: int, back_minor: int, base_minor: int) -> int:
    """What is left of `gross` when `back_minor` of `base_minor` went back.

    `gross - ceil(gross * back / base)`, back capped at base. Nothing paid or a negative gross:
    net is gross.
    """
    if base_minor <= 0 or gross <= 0:
        return gross
    back = min(back_minor, base_minor)
    return gross - -(-gross * back // base_minor)
