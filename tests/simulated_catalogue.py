"""The plans that the simulated account sells, as the core has them."""

from collections.abc import Iterable

from domain.catalogue.features import Policies
from domain.catalogue.plans import Catalogue, Plan
from sandbox.simulate.plans import Plan as Sold


def catalogue_of(
    plans: Iterable[Sold], *, loaded: int = 0, policies: Policies | None = None
) -> Catalogue:
    """The same plans; terms of before a price rise are earlier versions.

    They were `loaded` at that time, in seconds since 1970; what was sold before keeps the earliest.
    """
    versions = (
        Plan(
            id=terms.id,
            version=number,
            type="full" if terms.type == "full" else "token",
            name=terms.name,
            description="",
            tokens=terms.tokens,
            interval=terms.interval,
            interval_count=terms.interval_count,
            trial_days=terms.trial_days,
            trial_tokens=terms.trial_tokens,
            active=True,
            prices=dict(terms.prices),
            stripe_price_ids={each: code for code, each in terms.price_ids.items()},
            effective_from=loaded + number,
            features=plan.features,
        )
        for plan in plans
        for number, terms in enumerate([*reversed(plan.former), plan], start=1)
    )
    return Catalogue.of(versions, policies=policies)
