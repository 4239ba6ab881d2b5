"""What to buy: plans that unlock a feature, packages that cover what is missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.access.access import features_of, limit_of
from domain.catalogue.plans import Catalogue, Plan

# The body of the call that opens a checkout session.
CheckoutBody = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who would buy: in which currency a price is looked for first, and what they have already.

    `has_full_plan` says that checkout sells no second full plan to them.
    """

    currency: str
    has_full_plan: bool = False


@dataclass(frozen=True, slots=True)
class Unlocking:
    """A plan on sale that unlocks a feature; `limit` is None where it has none.

    `checkout` is None where the way leads through the portal: who has a full plan changes it there.
    """

    plan_id: int
    plan_type: str
    name: str
    limit: int | None
    currency: str
    amount: int
    checkout: CheckoutBody | None


@dataclass(frozen=True, slots=True)
class Package:
    """A token package on sale, in one currency."""

    plan_id: int
    name: str
    tokens: int
    interval: str | None
    currency: str
    amount: int
    checkout: CheckoutBody


def unlocking(feature: str, catalogue: Catalogue, buyer: Buyer) -> tuple[Unlocking, ...]:
    """The plans on sale that unlock a feature, by id."""
    return tuple(_unlocking(feature, catalogue, buyer))


def covering(missing: int, catalogue: Catalogue, currency: str) -> tuple[Package, ...]:
    """The token packages on sale in a currency that bring what is missing, cheapest first."""
    packages = [
        Package(
            plan_id=plan.id,
            name=plan.name,
            tokens=plan.tokens,
            interval=plan.interval,
            currency=currency,
            amount=plan.sale_prices[currency],
            checkout=_body(plan, currency),
        )
        for plan in _on_sale(catalogue)
        if plan.type == "token" and plan.tokens >= missing and currency in plan.sale_prices
    ]
    return tuple(sorted(packages, key=lambda package: (package.amount, package.plan_id)))


def _unlocking(feature: str, catalogue: Catalogue, buyer: Buyer) -> Iterator[Unlocking]:
    for plan in _on_sale(catalogue):
        limit = limit_of(features_of(plan.id, catalogue).get(feature, 0), 1)
        if limit == 0:
            continue
        currency = buyer.currency if buyer.currency in plan.sale_prices else min(plan.sale_prices)
        is_bound = buyer.has_full_plan and plan.type == "full"
        yield Unlocking(
            plan_id=plan.id,
            plan_type=plan.type,
            name=plan.name,
            limit=limit,
            currency=currency,
            amount=plan.sale_prices[currency],
            checkout=None if is_bound else _body(plan, currency),
        )


def _on_sale(catalogue: Catalogue) -> Sequence[Plan]:
    """The plans that can be bought now, by id."""
    return [
        plan
        for plan in catalogue.plans
        if plan.active and plan.sale_prices and plan is catalogue.current(plan.id)
    ]


def _body(plan: Plan, currency: str) -> CheckoutBody:
    return {"plan_type": plan.type, "plan_id": plan.id, "currency": currency}
