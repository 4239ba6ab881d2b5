"""What to buy: plans that unlock a feature, packages that cover what is missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.access.holdings import Holding, Subscribed
from domain.access.limits import features_of, limit_of
from domain.catalogue.plans import Catalogue
from domain.checkout.order import LIVE_STATUSES

# The body of the call that opens a checkout session.
CheckoutBody = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Unlocking:
    """A plan on sale that unlocks a feature; `limit` is None where it has none.

    `checkout` is None where the way leads through the portal: who has a full plan changes it there.
    """

    plan_id: int
    plan_type: str
    name: str
    limit: int | None
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


def is_bound(held: Sequence[Holding], catalogue: Catalogue) -> bool:
    """Whether a full plan binds the user, so that checkout sells them no second one."""
    full = {plan.id for plan in catalogue.plans if plan.type == "full"}
    return any(
        isinstance(holding, Subscribed)
        and holding.status in LIVE_STATUSES
        and holding.plan_id in full
        for holding in held
    )


def unlocking(
    feature: str, catalogue: Catalogue, *, has_full_plan: bool = False
) -> tuple[Unlocking, ...]:
    """The plans on sale that unlock a feature, by id; worked out once for a catalogue."""
    known = catalogue.worked_out
    key = (unlocking, feature, has_full_plan)
    if key not in known:
        known[key] = tuple(_unlocking(feature, catalogue, has_full_plan=has_full_plan))
    found: tuple[Unlocking, ...] = known[key]
    return found


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
            checkout={"plan_type": plan.type, "plan_id": plan.id, "currency": currency},
        )
        for plan in catalogue.on_sale
        if plan.type == "token" and plan.tokens >= missing and currency in plan.sale_prices
    ]
    return tuple(sorted(packages, key=lambda package: (package.amount, package.plan_id)))


def _unlocking(feature: str, catalogue: Catalogue, *, has_full_plan: bool) -> Iterator[Unlocking]:
    for plan in catalogue.on_sale:
        limit = limit_of(features_of(plan.id, catalogue).get(feature, 0), 1)
        if limit == 0:
            continue
        has_portal = has_full_plan and plan.type == "full"
        body: CheckoutBody = {"plan_type": plan.type, "plan_id": plan.id}
        checkout = None if has_portal else body
        yield Unlocking(plan.id, plan.type, plan.name, limit, checkout)
