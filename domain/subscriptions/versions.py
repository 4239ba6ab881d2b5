"""Subscription versions: which of the states that Stripe reported is the newest.

Stripe gives a subscription no version number, only whole seconds on its events. A final state is
never undone; otherwise the newest second stands; within one second `previous_attributes` tells
which report came first (contract §5).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from domain.events import Stamp
from domain.json_values import (
    integer_of,
    list_of,
    mapping_of,
    plan_id_of,
    quantity_of,
    reference_of,
    text_of,
    time_of,
)
from domain.payments.claims import PlanClaim, earliest
from domain.payments.sold import ItemPrice, Sold, SoldItem

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

    @property
    def is_cut(self) -> bool:
        """Whether it shows only some of the items."""
        return mapping_of(self.object.get("items")).get("has_more") is True


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is known of one subscription: the reports of its two newest seconds, and all they sold.

    `sold` is what every report said of plans, trials and items, also those that were let go.
    """

    id: str
    customer_id: str | None = None
    sold: Sold = field(default_factory=Sold)
    versions: tuple[Version, ...] = ()

    @property
    def plan_claim(self) -> PlanClaim | None:
        """The plan that metadata named first."""
        return self.sold.claim

    @property
    def row_claim(self) -> PlanClaim | None:
        """The plan that the newest report names, else the first; with who named it first."""
        version, _ = self.newest()
        named = state_of(version).plan_id if version else None
        if named is None or named not in self.sold.claims:
            return self.plan_claim
        return PlanClaim(self.sold.claims[named], named)

    def join(self, other: "Subscription") -> "Subscription":
        """Both bodies of knowledge as one; older seconds are let go."""
        by_event = {version.event_id: version for version in (*self.versions, *other.versions)}
        return Subscription(
            id=self.id,
            customer_id=earliest(self.customer_id, other.customer_id),
            sold=self.sold.join(other.sold),
            versions=_newest_seconds(by_event.values()),
        )

    def newest(self) -> "tuple[Version | None, bool]":
        """The report that stands, and whether Stripe must be asked for the state.

        So it is where the order of its second stays undecided, or where its items are cut.
        """
        if not self.versions:
            return None, False
        seconds = [list(group) for _, group in groupby(self.versions, key=_second)]
        base = _pick(seconds[1], None)[0] if len(seconds) > 1 else None
        version, is_toss = _pick(seconds[0], base)
        return version, is_toss or version.is_cut


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
    """One subscription item; times are seconds since 1970, amounts minor units.

    `unit_amount_minor` is None where the price is no whole one a unit (tiers, decimals).
    """

    id: str | None
    price_id: str | None
    quantity: int
    period_start: int | None
    period_end: int | None
    is_metered: bool = False
    unit_amount_minor: int | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of collection: what becomes of invoices, and when it ends (seconds since 1970)."""

    behavior: str
    resumes_at: int | None


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
    plan_id: int | None = None
    pause: Pause | None = None


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
        plan_id=plan_id_of(mapping_of(found.get("metadata")).get("plan_id")),
        pause=_pause(mapping_of(found.get("pause_collection"))),
    )


def _pause(found: Mapping[str, Any]) -> Pause | None:
    behavior = text_of(found.get("behavior"))
    return Pause(behavior, time_of(found.get("resumes_at"))) if behavior else None


def sold_of(version: Version) -> Sold:
    """What a report says of plans, trials and items."""
    found, state = version.object, state_of(version)
    trial = (time_of(found.get("trial_start")), state.trial_end)
    stamp = Stamp(version.created, version.event_id)
    return Sold(
        claims={} if state.plan_id is None else {state.plan_id: stamp},
        trials=frozenset({trial} if any(trial) else ()),
        items={item.id: _sold_item(item) for item in state.items if item.id},
    )


def _sold_item(item: Item) -> SoldItem:
    price = ItemPrice(item.price_id or "", item.is_metered, item.unit_amount_minor, item.currency)
    start, end = item.period_start, item.period_end
    periods = {(start, end)} if start is not None and end is not None else set()
    return SoldItem(frozenset({price}), frozenset(periods))


def _items(found: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if listed := list_of(found.get("items")):
        return listed
    # Very old shapes have one plan and no items.
    return [found] if found.get("plan") else []


def _item(item: Mapping[str, Any], found: Mapping[str, Any]) -> Item:
    price = item.get("price") or item.get("plan")
    told = mapping_of(price)
    usage = mapping_of(told.get("recurring")).get("usage_type") or told.get("usage_type")
    return Item(
        id=text_of(item.get("id")),
        price_id=reference_of(price),
        quantity=quantity_of(item),
        period_start=_period(item, found, "current_period_start"),
        period_end=_period(item, found, "current_period_end"),
        is_metered=usage == "metered",
        unit_amount_minor=integer_of(told.get("unit_amount", told.get("amount"))),
        currency=(text_of(told.get("currency")) or "").lower(),
    )


def _period(item: Mapping[str, Any], found: Mapping[str, Any], edge: str) -> int | None:
    own = time_of(item.get(edge))
    return time_of(found.get(edge)) if own is None else own
