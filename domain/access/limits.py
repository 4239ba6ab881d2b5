"""What holdings allow at a time: of each feature the best limit."""

from collections.abc import Mapping, Sequence

from domain.access.holdings import Holding, Standing
from domain.catalogue.features import Features
from domain.catalogue.plans import Catalogue

# What each feature that is allowed is limited to; None is no limit.
Limits = Mapping[str, int | None]


# Holdings, each with how it stands at a time.
Standings = Sequence[tuple[Holding, Standing]]


def standings(held: Sequence[Holding], catalogue: Catalogue, at: int) -> Standings:
    """How what is held stands at a time (seconds since 1970)."""
    return [(holding, holding.standing(catalogue.policies, at)) for holding in held]


def limits(held: Standings, catalogue: Catalogue) -> dict[str, int | None]:
    """What is allowed, with its limit: of several holdings the best counts."""
    best: dict[str, int | None] = {}
    for holding, standing in held:
        if not standing.counts:
            continue
        for name, granted in features_of(holding.plan_id, catalogue).items():
            limit = limit_of(granted, holding.quantity)
            if limit != 0:
                best[name] = _better(limit, best.get(name, 0))
    return best


def limit_of(granted: bool | int, quantity: int) -> int | None:  # noqa: FBT001 - a feature's value.
    """The limit of a feature that is held so many times: None is no limit, 0 not allowed."""
    if quantity <= 0 or not granted:
        return 0
    return None if granted is True else granted * quantity


def features_of(plan_id: int, catalogue: Catalogue) -> Features:
    """What the newest version of a plan unlocks."""
    plan = catalogue.current(plan_id)
    return plan.features if plan else {}


def _better(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)
