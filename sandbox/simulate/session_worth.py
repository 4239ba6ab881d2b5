"""What a one-time session is worth, reckoned from what was sold. Pure; imports no `domain`.

There are two answers: what the session says by itself, and what its line items say once somebody
asks for them.
"""

from dataclasses import dataclass

from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Session


@dataclass(frozen=True, slots=True)
class Worth:
    """Tokens for whole money, and the plans they stand for; `unknown` until somebody asks."""

    tokens: int
    plans: tuple[Plan, ...]
    unknown: bool = False


def named_plan(session: Session) -> Plan | None:
    """Return the plan that the session's own metadata names."""
    if "plan_id" not in session.metadata:
        return None
    return session.names or session.price.plan


def worth_by_itself(session: Session) -> Worth:
    """Reckon from what events say of a session that names a plan: whole packages only."""
    plan = named_plan(session)
    if plan is None:
        return Worth(0, (), unknown=True)
    price = plan.prices.get(session.price.currency)
    count = _whole_packages(session.amount_subtotal, price)
    return Worth(plan.tokens * count, (plan,), unknown=count == 0)


def worth_by_items(session: Session) -> Worth | None:
    """Reckon from the line items; None where none of them is at a price of the catalogue."""
    picks = [pick for pick in session.picks if pick.price.known]
    if not picks:
        return None
    tokens = sum(pick.price.plan.tokens * pick.quantity for pick in picks)
    return Worth(tokens, tuple(pick.price.plan for pick in picks))


def _whole_packages(subtotal: int, price: int | None) -> int:
    if price is None:
        return 0
    if price == 0:
        return 1 if subtotal == 0 else 0
    count, rest = divmod(subtotal, price)
    return 0 if rest else count
