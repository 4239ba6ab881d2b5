"""Subscription states: a report of a subscription, and what the tables say by it.

A report is read in the shape before or since API version 2025-03-31.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

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
from domain.payments.sold import COLLECTION_PAUSED, ItemPrice, Sold, SoldItem

FINAL_STATUSES = frozenset({"canceled", "incomplete_expired"})
STATUSES = FINAL_STATUSES | {"incomplete", "trialing", "active", "past_due", "unpaid", "paused"}
ACTIVE_STATUSES = frozenset({"active", "trialing", "past_due"})


class _Report(NamedTuple):
    created: int
    event_id: str
    event_type: str
    object: Mapping[str, Any]
    previous: Mapping[str, Any]


class Version(_Report):
    """One report of a subscription: the whole object as the event carried it.

    It has no slots, so that its state, which is asked for many times, is read once.
    """

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

    @cached_property
    def state(self) -> "SubscriptionState":
        """What it says, as the tables do."""
        return state_of(self)

    @property
    def is_cut(self) -> bool:
        """Whether it shows only some of the items."""
        return mapping_of(self.object.get("items")).get("has_more") is True


class Item(NamedTuple):
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


class Pause(NamedTuple):
    """A pause of collection: what becomes of invoices, and when it ends (seconds since 1970)."""

    behavior: str
    resumes_at: int | None


class SubscriptionState(NamedTuple):
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
    reported = version.object
    metadata = mapping_of(reported.get("metadata"))
    return SubscriptionState(
        status="canceled" if version.is_deleted else text_of(reported.get("status")),
        user_id=text_of(metadata.get("user_id")),
        items=tuple(_item(item, reported) for item in _items(reported)),
        cancel_at_period_end=reported.get("cancel_at_period_end") is True,
        cancel_at=time_of(reported.get("cancel_at")),
        canceled_at=time_of(reported.get("canceled_at")),
        trial_end=time_of(reported.get("trial_end")),
        started=time_of(reported.get("created")) or time_of(reported.get("start_date")),
        plan_id=plan_id_of(metadata.get("plan_id")),
        pause=_pause(mapping_of(reported.get("pause_collection"))),
    )


def _pause(collection: Mapping[str, Any]) -> Pause | None:
    behavior = text_of(collection.get("behavior"))
    return Pause(behavior, time_of(collection.get("resumes_at"))) if behavior else None


def sold_of(version: Version) -> Sold:
    """What a report says of plans, trials and items."""
    reported, state = version.object, version.state
    trial = (time_of(reported.get("trial_start")), state.trial_end)
    stamp = Stamp(version.created, version.event_id)
    return Sold(
        claims={} if state.plan_id is None else {state.plan_id: stamp},
        trials=frozenset({trial} if any(trial) else ()),
        items={item.id: _sold_item(item) for item in state.items if item.id},
        entered=dict(_entered(version, state)),
    )


def _entered(version: Version, state: SubscriptionState) -> Iterator[tuple[str, int]]:
    """What a report says has just begun: its status, a pause of collection."""
    if state.status and (version.is_first or version.is_deleted or "status" in version.previous):
        yield state.status, version.created
    if state.pause and (version.is_first or COLLECTION_PAUSED in version.previous):
        yield COLLECTION_PAUSED, version.created


def _sold_item(item: Item) -> SoldItem:
    price = ItemPrice(item.price_id or "", item.is_metered, item.unit_amount_minor, item.currency)
    start, end = item.period_start, item.period_end
    periods = {(start, end)} if start is not None and end is not None else set()
    return SoldItem(frozenset({price}), frozenset(periods))


def _items(subscription: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if listed := list_of(subscription.get("items")):
        return listed
    # Very old shapes have one plan and no items.
    return [subscription] if subscription.get("plan") else []


def _item(item: Mapping[str, Any], subscription: Mapping[str, Any]) -> Item:
    price = item.get("price") or item.get("plan")
    price_object = mapping_of(price)
    usage = mapping_of(price_object.get("recurring")).get("usage_type") or price_object.get(
        "usage_type"
    )
    return Item(
        id=text_of(item.get("id")),
        price_id=reference_of(price),
        quantity=quantity_of(item),
        period_start=_period(item, subscription, "current_period_start"),
        period_end=_period(item, subscription, "current_period_end"),
        is_metered=usage == "metered",
        unit_amount_minor=integer_of(price_object.get("unit_amount", price_object.get("amount"))),
        currency=(text_of(price_object.get("currency")) or "").lower(),
    )


def _period(item: Mapping[str, Any], subscription: Mapping[str, Any], key: str) -> int | None:
    own = time_of(item.get(key))
    return time_of(subscription.get(key)) if own is None else own
