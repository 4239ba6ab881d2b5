"""Subscriptions: one report of the whole object; which report stands is decided when merging."""

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.errors import DecodeError
from domain.json_values import is_deeper_than, mapping_of
from domain.subscriptions.states import STATUSES, Version, sold_of
from domain.subscriptions.versions import Subscription

# Stripe nests a few levels. What is kept whole must be readable and writable by everyone later on,
# and some JSON libraries stop at 254.
_LEVELS_MAX = 100


def version(source: Source) -> list[Fact]:
    """A report of a subscription's state, and the links it carries."""
    subscription_id = source.required_id()
    status = source.required_text("status")
    if status not in STATUSES:
        source.note(f"status {status[:40]!r} is new to us; kept as it is")
    if source.customer_id is None:
        source.note("customer is missing; only metadata can name the user")
    event = source.event
    report = Version(
        created=event.created,
        event_id=event.id,
        event_type=event.type,
        object=event.object,
        previous=event.previous_attributes,
    )
    source.own_plan_id()  # Notes one that is no plan id.
    _note_items(source, report)
    _require_shallow(report)
    return [
        *source.customer_link(),
        Subscription(
            id=subscription_id,
            customer_id=source.customer_id,
            sold=sold_of(report),
            versions=(report,),
        ),
    ]


def _require_shallow(report: Version) -> None:
    parts = {"data.object": report.object, "data.previous_attributes": report.previous}
    for place, part in parts.items():
        if is_deeper_than(part, _LEVELS_MAX):
            raise DecodeError(
                f"{report.event_type}: {place} is nested more than {_LEVELS_MAX} levels deep."
            )


def _note_items(source: Source, report: Version) -> None:
    """Say what of the items cannot be shown; the report itself is kept whole."""
    listed = mapping_of(source.object.get("items"))
    data = listed.get("data")
    entries = data if isinstance(data, list) else []
    items = report.state.items
    if not items:
        source.note("items.data has no item; no plan and no period can be shown")
    elif len(items) < len(entries):
        source.note("items.data has entries that are no items; left out")
    source.is_cut = report.is_cut
    for item in items:
        if item.price_id is None:
            source.note("items.data[].price is missing; the item has no plan")
    for entry in entries:
        source.quantity(mapping_of(entry), "items")
