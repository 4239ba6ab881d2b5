"""Access: which features a user has at a time, why, and when that changes by itself.

A pure function of what is held, the catalogue with its policies, and a time. Features are those of
today's catalogue, whatever version of a plan was bought.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from domain.access.holdings import Holding
from domain.access.limits import Limits, Standings, features_of, limit_of, limits, standings
from domain.access.reasons import CODES, why
from domain.access.unlocking import Unlocking, is_bound, unlocking
from domain.catalogue.plans import Catalogue


class Reason(NamedTuple):
    """Why a feature is allowed or not: a code that never changes, and words."""

    code: str
    text: str


class FeatureAccess(NamedTuple):
    """One feature; `limit` is None where there is none, and 0 where it is not allowed.

    `until` is when `allowed` or `limit` changes by itself (seconds since 1970). `plan_id` and
    `source_id` are what decides: a plan, and the subscription or payment that it is held by.
    `unlocked_by` are the plans to buy where it is not allowed.
    """

    name: str
    allowed: bool
    limit: int | None
    why: Reason
    until: int | None = None
    plan_id: int | None = None
    source_id: str | None = None
    unlocked_by: tuple[Unlocking, ...] = ()


class Access(NamedTuple):
    """Every feature of the catalogue, by name, as it stands at a time."""

    at: int
    features: tuple[FeatureAccess, ...]

    @property
    def limits(self) -> dict[str, int | None]:
        """What is allowed, with its limit."""
        return {feature.name: feature.limit for feature in self.features if feature.allowed}

    @property
    def decided(self) -> dict[str, list[int | str | None]]:
        """What a holding decides of each feature: its limit, the reason, until when, by what.

        Two that are equal are the same to a user, but for what else is on sale.
        """
        return {
            each.name: [each.limit, each.why.code, each.until, each.plan_id, each.source_id]
            for each in self.features
            if each.plan_id is not None
        }

    @property
    def until(self) -> int | None:
        """When any of it changes by itself."""
        return min((each.until for each in self.features if each.until is not None), default=None)


def access(held: Sequence[Holding], catalogue: Catalogue, at: int) -> Access:
    """What is unlocked at a time (seconds since 1970) by what a user holds."""
    standing = standings(held, catalogue, at)
    now = limits(standing, catalogue)
    later = [
        (instant, limits(standings(held, catalogue, instant), catalogue))
        for instant in _instants(held, catalogue)
        if instant > at
    ]
    has_full_plan = is_bound(held, catalogue)
    return Access(
        at,
        tuple(
            _feature(
                name,
                standing,
                catalogue,
                limit=now.get(name, 0),
                later=later,
                has_full_plan=has_full_plan,
            )
            for name in catalogue.features
        ),
    )


def _feature(
    name: str,
    held: Standings,
    catalogue: Catalogue,
    *,
    limit: int | None,
    later: Sequence[tuple[int, Limits]],
    has_full_plan: bool,
) -> FeatureAccess:
    code, holding = _deciding(name, limit, held, catalogue)
    plan = catalogue.current(holding.plan_id) if holding else None
    allowed = limit != 0
    return FeatureAccess(
        name=name,
        allowed=allowed,
        limit=limit,
        why=_reason(code, plan.name if plan else "", allowed),
        until=next((instant for instant, then in later if then.get(name, 0) != limit), None),
        plan_id=holding.plan_id if holding else None,
        source_id=holding.source_id if holding else None,
        unlocked_by=() if allowed else unlocking(name, catalogue, has_full_plan=has_full_plan),
    )


# Few plans, few reasons, and many who have them.
@lru_cache(maxsize=1_024)
def _reason(code: str, plan: str, allowed: bool) -> Reason:  # noqa: FBT001 - part of a key.
    return Reason(code, why(code, plan, allowed=allowed))


def _deciding(
    name: str, limit: int | None, held: Standings, catalogue: Catalogue
) -> tuple[str, Holding | None]:
    """The holding that a feature comes from, or that would have it; with the reason's code."""
    candidates = []
    for holding, standing in held:
        granted = features_of(holding.plan_id, catalogue).get(name, 0)
        own = limit_of(granted, holding.quantity)
        if own != 0 and (standing.counts, own if standing.counts else 0) == (limit != 0, limit):
            candidates.append((CODES.index(standing.code), holding.source_id, holding))
    if candidates:
        rank, _, holding = min(candidates, key=itemgetter(0, 1))
        return CODES[rank], holding
    return ("not_included" if any(standing.counts for _, standing in held) else "no_plan"), None


def _instants(held: Sequence[Holding], catalogue: Catalogue) -> list[int]:
    """When anything may change by itself, in order."""
    return sorted({at for holding in held for at in holding.instants(catalogue.policies)})
