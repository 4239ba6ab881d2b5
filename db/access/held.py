"""Reads what users hold: items of their subscriptions, and packages that they paid for."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, text

from domain.access.holdings import Holding, bought, subscribed
from domain.catalogue.plans import Catalogue
from domain.subscriptions.states import Item, Pause, SubscriptionState


def held_by(
    connection: Connection, user_ids: Collection[str], catalogue: Catalogue
) -> dict[str, list[Holding]]:
    """What each of these users holds; a user who holds nothing has an empty list."""
    held: dict[str, list[Holding]] = {user_id: [] for user_id in user_ids}
    users = {"users": sorted(held)}
    for row in connection.execute(_HELD, users):
        if row.packages is None:
            held[row.user_id].extend(_subscribed(row, catalogue))
        else:
            packages = orjson.loads(row.packages)
            numbers = {int(plan_id): number for plan_id, number in packages.items()}
            held[row.user_id].extend(bought(row.id, numbers, row.status))
    return held


def _subscribed(row: Row[Any], catalogue: Catalogue) -> Iterator[Holding]:
    named = None if row.named_plan_id is None else (row.named_plan_id, row.named_plan_created or 0)
    since = _seconds(row.since) or 0
    yield from subscribed(
        row.id,
        _state(row),
        catalogue,
        since=since,
        paused_since=_seconds(row.paused_since) or since,
        named=named,
    )


def _state(row: Row[Any]) -> SubscriptionState:
    pause = orjson.loads(row.pause_collection) if row.pause_collection else None
    return SubscriptionState(
        status=row.status,
        user_id=row.user_id,
        items=tuple(_item(item) for item in orjson.loads(row.items)),
        cancel_at_period_end=row.cancel_at_period_end,
        cancel_at=_seconds(row.cancel_at),
        canceled_at=None,
        trial_end=None,
        started=None,
        pause=Pause(pause["behavior"], pause["resumes_at"]) if pause else None,
    )


def _item(kept: Mapping[str, Any]) -> Item:
    quantity = kept["quantity"]
    return Item(
        id=kept["id"],
        price_id=kept["price_id"],
        quantity=1 if quantity is None else quantity,
        period_start=kept["period_start"],
        period_end=kept["period_end"],
        is_metered=kept.get("metered", False),
        unit_amount_minor=kept.get("unit_amount"),
        currency=kept.get("currency", ""),
    )


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


# JSON is read as text, because orjson is faster than the driver.
# Rows written before `status_since` was kept have nothing better than when they were written.
_SUBSCRIBED = """
    subscriptions.id, subscriptions.status, CAST(subscriptions.items AS text) AS items,
    subscriptions.cancel_at_period_end, subscriptions.cancel_at,
    CAST(subscriptions.pause_collection AS text) AS pause_collection,
    subscriptions.paused_since,
    coalesce(subscriptions.status_since, subscriptions.updated_at) AS since,
    coalesce(named_plan_id, claimed_plan_id) AS named_plan_id,
    coalesce(named_plan_created, claimed_plan_created) AS named_plan_created,
    NULL AS packages
    """
_HELD = text(
    f"""
    SELECT user_id, {_SUBSCRIBED} FROM subscriptions
    WHERE user_id = ANY(CAST(:users AS text[])) AND status IS NOT NULL
    UNION ALL
    SELECT customers.user_id, {_SUBSCRIBED}
    FROM subscriptions JOIN customers ON customers.id = subscriptions.customer_id
    WHERE subscriptions.user_id IS NULL AND subscriptions.status IS NOT NULL
      AND subscriptions.customer_id = ANY(
          ARRAY(SELECT id FROM customers WHERE user_id = ANY(CAST(:users AS text[])))
      )
    UNION ALL
    SELECT user_id, id, status, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           CAST(packages AS text)
    FROM payments
    WHERE listed AND user_id = ANY(CAST(:users AS text[])) AND packages IS NOT NULL
    ORDER BY id
    """  # noqa: S608 - names of our own columns.
)
