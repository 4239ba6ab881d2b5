"""Subscription versions: which of the states that Stripe reported is the newest.

Stripe gives a subscription no version number, only whole seconds on its events. A final state is
never undone; otherwise the newest second stands; within one second `previous_attributes` tells
which report came first (contract §5).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from domain.claims import PlanClaim, earliest
from domain.reading import list_of, mapping_of, quantity_of, reference_of, text_of, time_of

FINAL_STATUSES = frozenset({"canceled", "incomplete_expired"})
STATUSES = FINAL_STATUSES | {"incomplete", "trialing", "active", "past_due", "unpaid", "paused"}
ACTIVE_STATUSES = frozenset({"active", "trialing", "past_due"})

# The second before the newest is kept as well: it tells where the newest second began.
_SECONDS_KEPT = 2
# Orders are searched exhaustively up to here; more reports in one second fall to the fixed order.
_REPORTS_ORDERED_MAX = 6


@dataclass(frozen=True, slots=True)
class Version:
    """One report of a subscription: the whole object as the event carried it."""

    created: int
    event_id: str
    event_type: str
    object: Mapping[str, Any]
    previous: Mapping[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self.is_deleted or self.object.get("status") in FINAL_STATUSES

    @property
    def is_deleted(self) -> bool:
        """Whether the event itself says the subscription ended."""
        return self.event_type == "customer.subscription.deleted"

    @property
    def is_first(self) -> bool:
        """Whether nothing can precede it."""
        return self.event_type == "customer.subscription.created"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is known of one subscription: the reports of its two newest seconds."""

    id: str
    customer_id: str | None = None
    plan_claim: PlanClaim | None = None
    versions: tuple[Version, ...] = ()

    def join(self, other: "Subscription") -> "Subscription":
        """Both bodies of knowledge as one; older seconds are let go."""
        by_event = {version.event_id: version for version in (*self.versions, *other.versions)}
        return Subscription(
            id=self.id,
            customer_id=earliest(self.customer_id, other.customer_id),
            plan_claim=earliest(self.plan_claim, other.plan_claim),
            versions=_newest_seconds(by_event.values()),
        )

    def newest(self) -> "tuple[Version | None, bool]":
        """The report that stands, and whether the order of its second stayed undecided."""
        if not self.versions:
            return None, False
        seconds = [list(group) for _, group in groupby(self.versions, key=_second)]
        base = _pick(seconds[1], None)[0] if len(seconds) > 1 else None
        return _pick(seconds[0], base)


def _second(version: Version) -> tuple[bool, int]:
    return (version.is_final, version.created)


def _newest_seconds(versions: Iterable[Version]) -> tuple[Version, ...]:
    ordered = sorted(
        versions, key=lambda version: (_second(version), version.event_id), reverse=True
    )
    seconds = sorted({_second(version) for version in ordered}, reverse=True)[:_SECONDS_KEPT]
    return tuple(version for version in ordered if _second(version) in seconds)


def _pick(reports: Sequence[Version], base: Version | None) -> tuple[Version, bool]:
    """The last of several reports of one second; the flag says that it was a toss."""
    candidates = [report for report in reports if report.is_deleted] or list(reports)
    greatest = max(candidates, key=_fixed_order)
    if len(candidates) == 1:
        return greatest, False
    if len(candidates) > _REPORTS_ORDERED_MAX:
        return greatest, True
    lasts = _possible_lasts(candidates, base)
    last = max(lasts or _not_superseded(candidates), key=_fixed_order)
    return last, not (lasts and all(state_of(other) == state_of(last) for other in lasts))


def _fixed_order(version: Version) -> tuple[bool, str]:
    return (not version.is_first, version.event_id)


def _possible_lasts(reports: Sequence[Version], base: Version | None) -> list[Version]:
    """Every report that ends an order in which each one follows from the one before."""
    if base is not None:
        anchored = {order[-1].event_id: order[-1] for order in _orders(reports, base)}
        if anchored:
            return list(anchored.values())
    return list({order[-1].event_id: order[-1] for order in _orders(reports, None)}.values())


def _orders(reports: Sequence[Version], before: Version | None) -> Iterator[list[Version]]:
    if not reports:
        yield []
        return
    for index, report in enumerate(reports):
        if before is not None and not _follows(report, before):
            continue
        rest = [*reports[:index], *reports[index + 1 :]]
        for order in _orders(rest, report):
            yield [report, *order]


def _follows(later: Version, earlier: Version) -> bool:
    if later.is_first:
        return False
    if not later.previous:
        # A report such as `trial_will_end` tells of no change, so the state before was the same.
        return state_of(later) == state_of(earlier)
    return matches(later.previous, earlier.object)


def _not_superseded(reports: Sequence[Version]) -> Sequence[Version]:
    """The reports that no other one clearly follows; all of them when that leaves none."""
    open_ended = [
        report
        for report in reports
        if not any(
            other.previous and other is not report and _follows(other, report) for other in reports
        )
    ]
    return open_ended or reports


def matches(previous: object, state: object) -> bool:
    """Whether old values, as `previous_attributes` gives them, are those of a state.

    Objects are compared by the keys given, lists as a whole; null and absent are the same.
    """
    if isinstance(previous, Mapping):
        if not isinstance(state, Mapping):
            return not previous or all(value is None for value in previous.values())
        return all(matches(value, state.get(key)) for key, value in previous.items())
    return previous == state


@dataclass(frozen=True, slots=True)
class Item:
    """One subscription item; times are seconds since 1970."""

    id: str | None
    price_id: str | None
    quantity: int
    period_start: int | None
    period_end: int | None


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """What the tables say of a subscription, read from the report that stands."""

    status: str | None
    user_id: str | None
    items: tuple[Item, ...]
    cancel_at_period_end: bool
    cancel_at: int | None
    canceled_at: int | None
    trial_end: int | None
    started: int | None


def state_of(version: Version) -> SubscriptionState:
    """Read a report, in the shape before or since API version 2025-03-31."""
    found = version.object
    return SubscriptionState(
        status="canceled" if version.is_deleted else text_of(found.get("status")),
        user_id=text_of(mapping_of(found.get("metadata")).get("user_id")),
        items=tuple(_item(item, found) for item in _items(found)),
        cancel_at_period_end=found.get("cancel_at_period_end") is True,
        cancel_at=time_of(found.get("cancel_at")),
        canceled_at=time_of(found.get("canceled_at")),
        trial_end=time_of(found.get("trial_end")),
        started=time_of(found.get("created")) or time_of(found.get("start_date")),
    )


def _items(found: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if listed := list_of(found.get("items")):
        return listed
    # Very old shapes have one plan and no items.
    return [found] if found.get("plan") else []


def _item(item: Mapping[str, Any], found: Mapping[str, Any]) -> Item:
    price = item.get("price") or item.get("plan")
    return Item(
        id=text_of(item.get("id")),
        price_id=reference_of(price),
        quantity=quantity_of(item),
        period_start=_period(item, found, "current_period_start"),
        period_end=_period(item, found, "current_period_end"),
    )


def _period(item: Mapping[str, Any], found: Mapping[str, Any], edge: str) -> int | None:
    own = time_of(item.get(edge))
    return time_of(found.get(edge)) if own is None else own
