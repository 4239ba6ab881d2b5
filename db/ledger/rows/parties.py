"""Rows of who pays and what is subscribed to: JSON facts, compressed versions."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from db.bodies import compress, decompress
from db.ledger.rows.record import Field, Record, Row, json_field
from db.ledger.rows.times import seconds, when
from domain.events import Stamp
from domain.payments.claims import Customer
from domain.payments.sold import ItemPrice, Sold, SoldItem
from domain.subscriptions.states import Item, Version
from domain.subscriptions.versions import Subscription

# A newer release may keep more of each than this one knows.
_PRICE_FIELDS, _VERSION_FIELDS = len(ItemPrice._fields), len(Version._fields)


def _customer(
    customer_id: str,
    user_id: str | None,
    created: int | None,
    event_id: str | None,
    *rest: Any,  # noqa: ANN401 - the customer's other fields, in their order.
) -> Customer:
    stamp = None if created is None or event_id is None else Stamp(created, event_id)
    return Customer(customer_id, user_id, stamp, *rest)


CUSTOMERS = Record(
    _customer,
    [
        Field("id"),
        Field("user_id"),
        Field("claimed_created", of=lambda payer: payer.stamp.created if payer.stamp else None),
        Field("claimed_event_id", of=lambda payer: payer.stamp.event_id if payer.stamp else None),
        json_field("other_user_ids", lambda payer: sorted(payer.other_user_ids), frozenset),
        Field("deleted_at", of=lambda payer: when(payer.deleted_created), read=seconds),
        json_field("alias_ids", lambda payer: sorted(payer.alias_ids), frozenset),
    ],
)
_ITEM: Record[Item] = Record(
    Item,
    [
        *(Field("id"), Field("price_id"), Field("quantity")),
        *(Field("period_start"), Field("period_end")),
        Field("metered", "is_metered"),
        Field("unit_amount", "unit_amount_minor"),
        Field("currency"),
    ],
)
# What a subscription is read from; `versions` may be left out where only what was sold counts.
SUBSCRIPTION_COLUMNS = (
    "id, customer_id, claimed_plan_id, claimed_plan_created, claimed_plan_event_id,"
    " CAST(sold AS text) AS sold"
)


def subscription_row(subscription: Subscription) -> Row:
    """A subscription as its row: what the standing version says, and the newest versions."""
    version, undecided = subscription.newest()
    claim, named = subscription.plan_claim, subscription.claim_by(version)
    row: Row = {
        "id": subscription.id,
        "customer_id": subscription.customer_id,
        "claimed_plan_id": claim.plan_id if claim else None,
        "claimed_plan_created": claim.stamp.created if claim else None,
        "claimed_plan_event_id": claim.stamp.event_id if claim else None,
        "named_plan_id": named.plan_id if named else None,
        "named_plan_created": named.stamp.created if named else None,
        "sold": _sold_kept(subscription.sold),
        "versions": _versions_kept(subscription.versions),
        "undecided": undecided,
        "items": [],
        "cancel_at_period_end": False,
    }
    return row | (_state_columns(version, subscription.sold) if version else {})


def _state_columns(version: Version, sold: Sold) -> Row:
    state = version.state
    return {
        "user_id": state.user_id,
        "status": state.status,
        "status_since": when(sold.status_since(state.status, version.created)),
        "paused_since": when(sold.paused_since(version.created)) if state.pause else None,
        "items": [_ITEM.row(item) for item in state.items],
        "cancel_at_period_end": state.cancel_at_period_end,
        "cancel_at": when(state.cancel_at),
        "canceled_at": when(state.canceled_at),
        "trial_end": when(state.trial_end),
        "started_at": when(state.started),
        "pause_collection": {
            "behavior": state.pause.behavior,
            "resumes_at": state.pause.resumes_at,
        }
        if state.pause
        else None,
    }


def _sold_kept(sold: Sold) -> Row:
    kept = {
        "claims": {str(plan_id): list(stamp) for plan_id, stamp in sold.claims.items()},
        "trials": sorted((list(trial) for trial in sold.trials), key=str),
        "items": {
            item_id: [
                sorted((list(price) for price in item.prices), key=str),
                sorted(list(period) for period in item.periods),
            ]
            for item_id, item in sold.items.items()
        },
        "entered": dict(sold.entered),
    }
    return {key: value for key, value in kept.items() if value}


def _sold_from(kept: Mapping[str, Any]) -> Sold:
    return Sold(
        claims={int(plan_id): Stamp(*stamp) for plan_id, stamp in kept.get("claims", {}).items()},
        trials=frozenset((start, end) for start, end in kept.get("trials", ())),
        items={
            item_id: SoldItem(
                frozenset(ItemPrice(*price[:_PRICE_FIELDS]) for price in prices),
                frozenset((start, end) for start, end in periods),
            )
            for item_id, (prices, periods) in kept.get("items", {}).items()
        },
        entered=kept.get("entered", {}),
    )


def _versions_kept(versions: Sequence[Version]) -> bytes | None:
    if not versions:
        return None
    return compress(orjson.dumps([[*version] for version in versions]))


def subscription_from(row: Any) -> Subscription:  # noqa: ANN401 - rows are typed by their query.
    """A subscription from its row."""
    sold = _sold_from(orjson.loads(row.sold))
    if row.claimed_plan_id is not None:
        # Kept alone before 0.2.
        stamp = Stamp(row.claimed_plan_created, row.claimed_plan_event_id)
        sold = sold.join(Sold(claims={row.claimed_plan_id: stamp}))
    kept = orjson.loads(decompress(bytes(row.versions))) if row.versions else []
    versions = tuple(Version(*version[:_VERSION_FIELDS]) for version in kept)
    return Subscription(row.id, row.customer_id, sold, versions)
