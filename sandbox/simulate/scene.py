"""A buyer in front of what the catalogue offers: the words that stories are written in.

A story never looks at an event; it only acts on the account.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

from sandbox.simulate.account import Account
from sandbox.simulate.contract_records import Customer, Subscription
from sandbox.simulate.money_records import Charge
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Session

DAY = 86400


class PackageTerms(TypedDict, total=False):
    """How a package is bought; see `Account.buy_package`."""

    invoicing: bool
    declines: int
    percent_off: int
    inline: bool


class ContractTerms(TypedDict, total=False):
    """How a subscription is bought; see `Account.subscribe`."""

    quantity: int
    percent_off: int
    trial: bool
    inline: bool
    setup_fee_minor: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a customer of one currency can buy."""

    packages: tuple[Plan, ...]
    recurring: tuple[Plan, ...]
    trials: tuple[Plan, ...]
    changes: tuple[tuple[Plan, Plan], ...]
    # Renewing plans that are sold by a price id of the catalogue, and those with earlier terms.
    known: tuple[Plan, ...] = ()
    # Two of those with one interval.
    pairs: tuple[tuple[Plan, Plan], ...] = ()
    rises: tuple[Plan, ...] = ()
    # Those without earlier terms: a claim for any other means the earliest ones, not today's.
    steady: tuple[Plan, ...] = ()
    steady_pairs: tuple[tuple[Plan, Plan], ...] = ()
    # Known ones that give tokens for a trial, and those of an interval besides month and year.
    known_trials: tuple[Plan, ...] = ()
    odd: tuple[Plan, ...] = ()


def _with_one_interval(plans: Sequence[Plan]) -> Iterator[tuple[Plan, Plan]]:
    for one in plans:
        for other in plans:
            same = (one.interval, one.interval_count) == (other.interval, other.interval_count)
            if one is not other and same:
                yield one, other


def shelf(plans: Sequence[Plan], currency: str) -> Shelf:
    """Sort the plans sold in a currency by what stories need."""
    sold = [plan for plan in plans if currency in plan.prices]
    recurring = tuple(plan for plan in sold if plan.recurring)
    priced = [plan for plan in recurring if currency in plan.price_ids]
    return Shelf(
        packages=tuple(plan for plan in sold if not plan.recurring),
        recurring=recurring,
        trials=tuple(plan for plan in recurring if plan.trial_days > 0),
        changes=tuple(
            (one, other) for one, other in _with_one_interval(priced) if one.type == other.type
        ),
        known=tuple(priced),
        known_trials=tuple(plan for plan in priced if plan.trial_tokens > 0),
        odd=tuple(
            plan for plan in priced if plan.interval in {"day", "week"} or plan.interval_count > 1
        ),
        pairs=tuple(_with_one_interval(priced)),
        rises=tuple(plan for plan in priced if plan.former),
        steady=tuple(plan for plan in recurring if not plan.former),
        steady_pairs=tuple(
            (one, other)
            for one, other in _with_one_interval(priced)
            if not one.former and not other.former
        ),
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """One customer's story: the account, the buyer, what they can buy, and their chance."""

    account: Account
    customer: Customer
    shelf: Shelf
    chance: random.Random

    @property
    def coin(self) -> bool:
        """Toss a coin."""
        return self.chance.choice((True, False))

    def package(self, **terms: Unpack[PackageTerms]) -> Session:
        """Buy some package."""
        plan = self.chance.choice(self.shelf.packages)
        return self.account.buy_package(self.customer, plan, **terms)

    def subscription(self, **terms: Unpack[ContractTerms]) -> Subscription:
        """Subscribe to some plan."""
        plans = self.shelf.steady if terms.get("inline") else self.shelf.recurring
        plan = self.chance.choice(plans)
        return self.account.subscribe(self.customer, plan, **terms)

    def monthly(self) -> Subscription:
        """Subscribe to a plan short enough to see several renewals."""
        plans = [plan for plan in self.shelf.recurring if plan.interval == "month"]
        return self.account.subscribe(
            self.customer, self.chance.choice(plans or self.shelf.recurring)
        )

    def days(self, low: int, high: int) -> None:
        """Let some days pass."""
        self.account.wait(self.chance.randint(low * DAY, high * DAY))

    def paid_charge(self) -> Charge:
        """Buy something by card and return its charge."""
        if self.shelf.packages and (not self.shelf.recurring or self.coin):
            intent = self.package(invoicing=self.coin).intent
        else:
            subscription = self.monthly()
            intent = self.account.invoices[subscription.latest_invoice or ""].intent
        if intent is None or intent.charge is None:
            raise ValueError("a purchase by card at a price above 0 has a charge")
        self.days(1, 10)
        return intent.charge


@dataclass(frozen=True, slots=True)
class Story:
    """How often a story is played beside the others, and what it needs."""

    play: Callable[[Scene], None]
    weight: int
    needs: str
    guests: bool = False

    def playable(self, on: Shelf) -> bool:
        """Whether the catalogue has what the story sells."""
        either = self.needs == "any" and bool(on.packages or on.recurring)
        return either or bool(getattr(on, self.needs, ()))
