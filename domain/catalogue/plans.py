"""The catalogue: what plans are sold, at what price, and for how many tokens.

Changed terms make a new version of a plan; a Stripe price id stays with the version it was first
bound to, so what was sold keeps the terms at which it was sold.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from domain.catalogue.features import Features, Policies

PlanType = Literal["full", "token"]

# The intervals that Stripe renews by, each with how many of them one period may have at most:
# a period lasts three years or less.
INTERVAL_COUNT_MAX = {"day": 1095, "week": 156, "month": 36, "year": 3}


def period_of(interval: str | None, interval_count: int) -> str | None:
    """How often something renews, in words: `month`, `3 month`; None for once."""
    if interval is None or interval_count == 1:
        return interval
    return f"{interval_count} {interval}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of one plan.

    `tokens` are granted per paid period, or per purchase where `interval` is None. A period is
    `interval_count` intervals long. `prices` maps a currency to minor units for one unit of the
    plan: it says what a sale is worth, also in `off_sale_currencies`, in which nobody can buy any
    more. `features` are what it unlocks; those of the newest version hold, whatever was bought.
    `stripe_price_ids` maps every Stripe price id bound to this version to its currency.
    `effective_from` is seconds since 1970.
    """

    id: int
    version: int
    type: PlanType
    name: str
    description: str
    tokens: int
    interval: str | None
    trial_days: int
    trial_tokens: int
    active: bool
    prices: Mapping[str, int]
    stripe_price_ids: Mapping[str, str] = field(default_factory=dict)
    effective_from: int = 0
    interval_count: int = 1
    off_sale_currencies: frozenset[str] = frozenset()
    features: Features = field(default_factory=dict)

    @property
    def sale_prices(self) -> dict[str, int]:
        """What it is offered at now, in minor units by currency; the plan may be inactive."""
        return {
            currency: amount
            for currency, amount in self.prices.items()
            if currency not in self.off_sale_currencies
        }

    @property
    def period(self) -> str | None:
        """How often the plan renews, in words: `month`, `3 month`; None where it never does."""
        return period_of(self.interval, self.interval_count)

    @property
    def terms(self) -> tuple[object, ...]:
        """What a buyer was promised. A change here makes a new version."""
        return (self.type, self.tokens, self.interval, self.interval_count, self.trial_tokens)


@dataclass(frozen=True)
class Catalogue:
    """Every version of every plan, ready to be asked.

    `prices_without_tokens` are Stripe price ids of other things that are sold: a setup fee, use
    beyond what is included. `policies` say what holds while money is missing.
    """

    plans: tuple[Plan, ...] = ()
    prices_without_tokens: frozenset[str] = frozenset()
    policies: Policies = field(default_factory=Policies)

    @classmethod
    def of(
        cls,
        plans: Iterable[Plan],
        prices_without_tokens: Iterable[str] = (),
        policies: Policies | None = None,
    ) -> "Catalogue":
        """A catalogue of these versions, in a fixed order."""
        in_order = sorted(plans, key=lambda plan: (plan.id, plan.version))
        return cls(tuple(in_order), frozenset(prices_without_tokens), policies or Policies())

    @cached_property
    def _by_price(self) -> dict[str, Plan]:
        return {price_id: plan for plan in self.plans for price_id in plan.stripe_price_ids}

    @cached_property
    def _by_id(self) -> dict[int, list[Plan]]:
        versions: dict[int, list[Plan]] = {}
        for plan in self.plans:
            versions.setdefault(plan.id, []).append(plan)
        return versions

    @cached_property
    def worked_out(self) -> dict[Hashable, Any]:
        """What rules have found out of this catalogue alone, each by a key of its own."""
        return {}

    @cached_property
    def on_sale(self) -> tuple[Plan, ...]:
        """The plans that can be bought now, by id."""
        return tuple(
            plan
            for plan in self.plans
            if plan.active and plan.sale_prices and plan is self.current(plan.id)
        )

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names of all that plans unlock today, in order."""
        newest = [versions[-1] for versions in self._by_id.values()]
        return tuple(sorted({name for plan in newest for name in plan.features}))

    def by_price(self, price_id: str | None) -> Plan | None:
        """The plan version that a Stripe price id is bound to."""
        return self._by_price.get(price_id) if price_id else None

    def sells_no_tokens(self, price_id: str | None) -> bool:
        """Whether a price is known to sell none.

        One that was ever bound to a plan goes on selling what it was sold for.
        """
        return price_id in self.prices_without_tokens and self.by_price(price_id) is None

    def by_id(self, plan_id: int | None, sold_created: int) -> Plan | None:
        """The version of a plan that was in force at a time (seconds since 1970).

        A sale older than the first version gets the first: the catalogue was loaded late.
        """
        versions = self._by_id.get(plan_id) if plan_id is not None else None
        if not versions:
            return None
        in_force = [plan for plan in versions if plan.effective_from <= sold_created]
        return in_force[-1] if in_force else versions[0]

    def current(self, plan_id: int) -> Plan | None:
        """The newest version of a plan."""
        versions = self._by_id.get(plan_id)
        return versions[-1] if versions else None


@dataclass(frozen=True, slots=True)
class CatalogueChange:
    """One plan before and after, with the differences in words.

    `bound_price_ids` are Stripe price ids (to their currency) that this version gets.
    """

    before: Plan | None
    after: Plan
    differences: tuple[str, ...]
    bound_price_ids: Mapping[str, str] = field(default_factory=dict)
    is_new_version: bool = False

    @property
    def unlocks_otherwise(self) -> bool:
        """Whether somebody may have other features now: of this plan, or this instead of another.

        A price that is known now says more of what was sold by it than metadata does.
        """
        if self.before is None or self.bound_price_ids:
            return True
        return dict(self.before.features) != dict(self.after.features)


@dataclass(frozen=True, slots=True)
class TokenlessChange:
    """Price ids that get into `prices_without_tokens` or out of it, with the same in words."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    differences: tuple[str, ...] = ()

    @property
    def price_ids(self) -> frozenset[str]:
        """Every price whose sales may have another worth now."""
        return self.added | self.removed
