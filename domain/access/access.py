"""Access: which features a user has at a time, why, and when that changes by itself.

A pure function of what is held, the catalogue with its policies, and a time. Features are those of
today's catalogue, whatever version of a plan was bought.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.access.holdings import Holding
from domain.access.reasons import CODES, why
from domain.catalogue.features import Features
from domain.catalogue.plans import Catalogue

# What each feature that is allowed is limited to; None is no limit.
Limits = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a feature is allowed or not: a code that never changes, and words."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class FeatureAccess:
    """One feature; `limit` is None where there is none, and 0 where it is not allowed.

    `until` is when `allowed` or `limit` changes by itself (seconds since 1970). `plan_id` and
    `source_id` are what decides: a plan, and the subscription or payment that it is held by.
    """

    name: str
    allowed: bool
    limit: int | None
    why: Reason
    until: int | None = None
    plan_id: int | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Every feature of the catalogue, by name, as it stands at a time."""

    at: int
    features: tuple[FeatureAccess, ...]

    @property
    def limits(self) -> dict[str, int | None]:
        """What is allowed, with its limit."""
        return {feature.name: feature.limit for feature in self.features if feature.allowed}

    @property
    def until(self) -> int | None:
        """When any of it changes by itself."""
        return min((each.until for each in self.features if each.until is not None), default=None)


def access(held: Sequence[Holding], catalogue: Catalogue, at: int) -> Access:
    """What is unlocked at a time (seconds since 1970) by what a user holds."""
    names = sorted({name for plan in _current(catalogue) for name in plan})
    later = [(instant, limits(held, catalogue, instant)) for instant in _instants(held, catalogue)]
    later = [(instant, then) for instant, then in later if instant > at]
    return Access(at, tuple(_feature(name, held, catalogue, at, later) for name in names))


def limits(held: Sequence[Holding], catalogue: Catalogue, at: int) -> dict[str, int | None]:
    """What is allowed at a time, with its limit: of several holdings the best counts."""
    best: dict[str, int | None] = {}
    for holding in held:
        if not holding.standing(catalogue.policies, at).counts:
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


def _feature(
    name: str,
    held: Sequence[Holding],
    catalogue: Catalogue,
    at: int,
    later: Sequence[tuple[int, Limits]],
) -> FeatureAccess:
    limit = limits(held, catalogue, at).get(name, 0)
    code, holding = _deciding(name, limit, held, catalogue, at)
    plan = catalogue.current(holding.plan_id) if holding else None
    allowed = limit != 0
    return FeatureAccess(
        name=name,
        allowed=allowed,
        limit=limit,
        why=Reason(code, why(code, plan.name if plan else "", allowed=allowed)),
        until=next((instant for instant, then in later if then.get(name, 0) != limit), None),
        plan_id=holding.plan_id if holding else None,
        source_id=holding.source_id if holding else None,
    )


def _deciding(
    name: str, limit: int | None, held: Sequence[Holding], catalogue: Catalogue, at: int
) -> tuple[str, Holding | None]:
    """The holding that a feature comes from, or that would have it; with the reason's code."""
    candidates = []
    for holding in held:
        granted = features_of(holding.plan_id, catalogue).get(name, 0)
        own = limit_of(granted, holding.quantity)
        standing = holding.standing(catalogue.policies, at)
        if own != 0 and (standing.counts, own if standing.counts else 0) == (limit != 0, limit):
            candidates.append((CODES.index(standing.code), holding.source_id, holding))
    if candidates:
        rank, _, holding = min(candidates, key=lambda candidate: candidate[:2])
        return CODES[rank], holding
    counts = any(holding.standing(catalogue.policies, at).counts for holding in held)
    return ("not_included" if counts else "no_plan"), None


def _current(catalogue: Catalogue) -> Iterator[Features]:
    return (features_of(plan_id, catalogue) for plan_id in {plan.id for plan in catalogue.plans})


def _instants(held: Sequence[Holding], catalogue: Catalogue) -> list[int]:
    """When anything may change by itself, in order."""
    return sorted({at for holding in held for at in holding.instants(catalogue.policies)})
