"""One plan beside what a Stripe account has for it: its product, and the price of each currency."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from domain.catalogue.plans import Catalogue, Plan
from domain.stripe_catalogue.actions import missing
from domain.stripe_catalogue.remote import PLAN_ID, TOKENS, VERSION, Account, Price, Product


@dataclass(frozen=True)
class PlanInStripe:
    """The current version of a plan in an account.

    `current` are the price ids at which checkout sells now, those of other plans too; what is off
    sale is not among them.
    """

    plan: Plan
    catalogue: Catalogue
    current: Collection[str]
    account: Account

    @cached_property
    def products(self) -> list[Product]:
        """Products that say they are this plan; the first is the one that is used."""
        sold = {price.product_id for price in self.account.prices.values() if self.is_sold(price)}
        products = [
            product for product in self.account.products.values() if product.plan_id == self.plan.id
        ]
        return sorted(
            products,
            key=lambda product: (
                product.id not in sold,
                not product.active,
                product.created,
                product.id,
            ),
        )

    @property
    def product(self) -> Product | None:
        """The plan's product."""
        return self.products[0] if self.products else None

    @cached_property
    def own_prices(self) -> list[Price]:
        """Every price that we made for this plan, whatever the version."""
        prices = [price for price in self.account.prices.values() if self.is_own(price)]
        return sorted(prices, key=lambda price: (price.currency, price.id))

    @property
    def price_marks(self) -> dict[str, str]:
        """The metadata of a price of this version."""
        plan = self.plan
        return {PLAN_ID: str(plan.id), VERSION: str(plan.version), TOKENS: str(plan.tokens)}

    @property
    def bound_price_ids(self) -> set[str]:
        """Every price id that is bound here to the plan, whatever the version."""
        versions = (version for version in self.catalogue.plans if version.id == self.plan.id)
        return {price_id for version in versions for price_id in version.stripe_price_ids}

    def is_own(self, price: Price) -> bool:
        """Whether we made it for this plan: what is bound here says so, else its marks."""
        holder = self.catalogue.by_price(price.id)
        owner = holder.id if holder else price.plan_id
        return price.plan_id is not None and owner == self.plan.id

    def is_sold(self, price: Price) -> bool:
        """Whether checkout sells this version of the plan at it now."""
        return price.id in self.current and price.id in self.plan.stripe_price_ids

    def price(self, currency: str) -> Price | None:
        """The price at which the plan can go on selling in a currency."""
        fitting = [price for price in self.account.prices.values() if self._fits(price, currency)]
        return min(
            fitting,
            key=lambda price: (
                not self.is_sold(price),
                not price.active,
                price.id not in self.plan.stripe_price_ids,
                price.created,
                price.id,
            ),
            default=None,
        )

    def foreign_holder(self, lookup_key: str) -> Price | None:
        """The price that has a lookup key and is not ours to change."""
        holders = (
            price for price in self.account.prices.values() if price.lookup_key == lookup_key
        )
        return next((price for price in holders if price.plan_id is None), None)

    def foreign_prices(self) -> Iterator[Price]:
        """Active prices of the plan's product that others made."""
        for price in self.account.prices.values():
            is_here = self.product is not None and price.product_id == self.product.id
            if is_here and price.active and price.plan_id is None:
                yield price

    def why_new(self, currency: str) -> str:
        """Why a price must be made in a currency."""
        linked = [
            price_id
            for price_id, sold_in in self.plan.stripe_price_ids.items()
            if sold_in == currency and price_id in self.current
        ]
        if linked:
            return f"{linked[0]}, linked here, {self._why_unfit(linked[0])}"
        if any(price.active and price.currency == currency for price in self.own_prices):
            return f"version {self.plan.version} needs a price of its own"
        return "no price yet"

    def _why_unfit(self, price_id: str) -> str:
        price, plan = self.account.prices.get(price_id), self.plan
        if price is None:
            return "is not in this account"
        currency = plan.stripe_price_ids[price_id]
        if (price.currency, price.amount_minor, price.period) != (
            currency,
            plan.prices[currency],
            plan.period,
        ):
            amount = "no fixed amount" if price.amount_minor is None else price.amount_minor
            every = f"every {price.period}" if price.period else "once"
            return f"is {amount} {price.currency} {every}"
        if not price.active:
            return "is archived and not ours"
        return f"is of {price.product_id}, which is not the plan's product or is archived"

    def _fits(self, price: Price, currency: str) -> bool:
        plan = self.plan
        terms = (price.currency, price.amount_minor, price.period)
        if terms != (currency, plan.prices[currency], plan.period):
            return False
        is_bound = plan.stripe_price_ids.get(price.id) == currency
        if not (is_bound or self._is_left_over(price)):
            return False
        if not (price.active or self.is_own(price)):
            return False
        if self.product is not None and price.product_id == self.product.id:
            return True
        product = self.account.products.get(price.product_id)
        return is_bound and product is not None and product.active and product.plan_id is None

    def _is_left_over(self, price: Price) -> bool:
        """Whether a run that ended too early, or another database of ours, made it for this."""
        is_free = self.catalogue.by_price(price.id) is None
        return is_free and self.is_own(price) and not missing(self.price_marks, price.metadata)
