"""What a one-time session is worth, reckoned from what was sold. Pure; imports no `domain`.

There are two answers: what the session says by itself, and what its line items say once somebody
asks for them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Session


@dataclass(frozen=True, slots=True)
class Worth:
    """Tokens for whole money, and the plans they stand for; `unknown` until somebody asks.

    `packages` says of each plan that was bought for good, by id, how many.
    """

    tokens: int
    plans: tuple[Plan, ...]
    unknown: bool = False
    packages: Mapping[int, int] = field(default_factory=dict)


def packages_of(sold: Iterable[tuple[Plan, int]]) -> dict[int, int]:
    """Count what does not renew."""
    counts: dict[int, int] = {}
    for plan, count in sold:
        if not plan.recurring and count > 0:
            counts[plan.id] = counts.get(plan.id, 0) + count
    return counts


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
    packages = packages_of([(plan, count)])
    return Worth(plan.tokens * count, (plan,), unknown=count == 0, packages=packages)


def worth_by_items(session: Session) -> Worth | None:
    """Reckon from the line items; None where none of them is at a price of the catalogue."""
    picks = [pick for pick in session.picks if pick.price.known]
    if not picks:
        return None
    tokens = sum(pick.price.plan.tokens * pick.quantity for pick in picks)
    packages = packages_of((pick.price.plan, pick.quantity) for pick in picks)
    return Worth(tokens, tuple(pick.price.plan for pick in picks), packages=packages)


def _whole_packages(subtotal: int, price: int | None) -> int:
    if price is None:
        return 0
    if price == 0:
        return 1 if subtotal == 0 else 0
    count, rest = divmod(subtotal, price)
    return 0 if rest else count
