"""A user's subscriptions, each item with the plan that it stands for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

import db.ledger.catalogue
from db.queries.positions import TimedPosition, page_after
from domain.catalogue.plans import Catalogue
from domain.payments.line_plans import claimed_item
from domain.subscriptions.states import ACTIVE_STATUSES


@dataclass(frozen=True, slots=True)
class SubscriptionItem:
    """One thing subscribed to; `plan_id` is None while the catalogue does not know its price."""

    plan_id: int | None
    quantity: int | None


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of collection: what becomes of its invoices, and when it ends, if that is known."""

    behavior: str
    resumes_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as Stripe last reported it; `position` is its place in the list."""

    id: str
    plan_id: int | None
    plan_type: str | None
    status: str
    is_active: bool
    quantity: int | None
    items: tuple[SubscriptionItem, ...]
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    canceled_at: datetime | None
    trial_end: datetime | None
    pause_collection: Pause | None
    position: TimedPosition


@dataclass(frozen=True, slots=True)
class ShownSubscription:
    """A subscription with the user who sees it; None while nobody does."""

    user_id: str | None
    customer_id: str | None
    subscription: Subscription


def subscriptions(
    connection: Connection, user_id: str, *, limit: int, after: TimedPosition | None = None
) -> list[Subscription]:
    """A user's subscriptions, newest first; those Stripe has not yet described are left out."""
    rows = connection.execute(_SUBSCRIPTIONS, page_after(user_id, limit, after)).mappings()
    return [_subscription(row, items) for row, items in _with_plans(connection, rows.all())]


def subscriptions_shown(
    connection: Connection,
    ids: Sequence[str],
    customer_ids: Sequence[str] = (),
    catalogue: Catalogue | None = None,
) -> list[ShownSubscription]:
    """These subscriptions as their users see them, whoever they are.

    And those of these customers that are the customer's owner's, because they name no user.
    """
    if not (ids or customer_ids):
        return []
    named = {"ids": list(ids), "customers": list(customer_ids)}
    rows = connection.execute(_SHOWN, named).mappings().all()
    return [
        ShownSubscription(row["shown_to"], row["customer_id"], _subscription(row, items))
        for row, items in _with_plans(connection, rows, catalogue)
    ]


def subscription_shown(
    row: Mapping[str, Any], user_id: str | None, catalogue: Catalogue
) -> ShownSubscription:
    """A row that is being written as its user will see it; nothing is read."""
    named_id, named_created = row["named_plan_id"], row["named_plan_created"]
    kept = {
        **row,
        "listed_at": row["started_at"] or _EPOCH,
        "named_plan_id": row["claimed_plan_id"] if named_id is None else named_id,
        "named_plan_created": (
            row["claimed_plan_created"] if named_created is None else named_created
        ),
    }
    items = [item | _plan_of(item["price_id"], catalogue) for item in row["items"]]
    if kept["named_plan_id"] is not None and all(item["plan_id"] is None for item in items):
        _claim(items, kept, catalogue)
    return ShownSubscription(user_id, row["customer_id"], _subscription(kept, items))


def _plan_of(price_id: str | None, catalogue: Catalogue) -> dict[str, Any]:
    bound = catalogue.by_price(price_id)
    plan = catalogue.current(bound.id) if bound else None
    return {"plan_id": plan and plan.id, "plan_type": plan and plan.type}


def _with_plans(
    connection: Connection, rows: Sequence[RowMapping], catalogue: Catalogue | None = None
) -> Iterator[tuple[RowMapping, list[dict[str, Any]]]]:
    """Each row with its items; where no price is known, one item is the plan that is claimed."""
    for row in rows:
        items = row["items"]
        if row["named_plan_id"] is not None and all(item["plan_id"] is None for item in items):
            catalogue = catalogue or db.ledger.catalogue.load(connection)
            _claim(items, row, catalogue)
        yield row, items


def _claim(items: list[dict[str, Any]], row: Mapping[Any, Any], catalogue: Catalogue) -> None:
    plan = catalogue.by_id(row["named_plan_id"], row["named_plan_created"] or 0)
    if plan is None:
        return
    claimed_id = claimed_item(
        [
            (
                item["id"] or "",
                item.get("metered", False),
                item.get("unit_amount"),
                item.get("currency", ""),
            )
            for item in items
            if not catalogue.sells_no_tokens(item["price_id"])
        ],
        plan.prices,
    )
    for item in items:
        if (item["id"] or "") == claimed_id:
            item |= {"plan_id": plan.id, "plan_type": plan.type}


def _subscription(row: Mapping[Any, Any], items: Sequence[Mapping[str, Any]]) -> Subscription:
    planned = (item for item in items if item["plan_id"] is not None)
    main = next(planned, items[0] if items else {})
    return Subscription(
        id=row["id"],
        plan_id=main.get("plan_id"),
        plan_type=main.get("plan_type"),
        status=row["status"],
        is_active=row["status"] in ACTIVE_STATUSES,
        quantity=main.get("quantity"),
        items=tuple(SubscriptionItem(item["plan_id"], item["quantity"]) for item in items),
        current_period_start=_moment(main.get("period_start")),
        current_period_end=_moment(main.get("period_end")),
        cancel_at_period_end=row["cancel_at_period_end"],
        cancel_at=row["cancel_at"],
        canceled_at=row["canceled_at"],
        trial_end=row["trial_end"],
        pause_collection=_pause(row["pause_collection"]),
        position=(row["listed_at"], row["id"]),
    )


def _pause(kept: Mapping[str, Any] | None) -> Pause | None:
    return Pause(kept["behavior"], _moment(kept["resumes_at"])) if kept else None


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


_EPOCH = datetime.fromtimestamp(0, UTC)
_COLUMNS = """
    listed.id, listed.status, listed.cancel_at_period_end, listed.cancel_at,
    listed.canceled_at, listed.trial_end, listed.pause_collection, listed.listed_at,
    coalesce(listed.named_plan_id, listed.claimed_plan_id) AS named_plan_id,
    coalesce(listed.named_plan_created, listed.claimed_plan_created) AS named_plan_created,
    (SELECT coalesce(jsonb_agg(listed_item.item || jsonb_build_object(
                'plan_id', plans.id,
                'plan_type', plans.type) ORDER BY listed_item.place), '[]')
     FROM jsonb_array_elements(listed.items) WITH ORDINALITY AS listed_item (item, place)
     LEFT JOIN stripe_prices ON stripe_prices.id = listed_item.item ->> 'price_id'
     LEFT JOIN plans ON plans.is_current AND plans.id = stripe_prices.plan_id) AS items
"""
_SUBSCRIPTIONS = text(
    f"""
    WITH own AS (
        SELECT id FROM subscriptions WHERE user_id = :user_id
        UNION ALL
        SELECT subscriptions.id
        FROM customers JOIN subscriptions ON subscriptions.customer_id = customers.id
        WHERE customers.user_id = :user_id AND subscriptions.user_id IS NULL
    ), listed AS (
        SELECT subscriptions.*, coalesce(started_at, to_timestamp(0)) AS listed_at
        FROM own JOIN subscriptions USING (id)
        WHERE status IS NOT NULL
    )
    SELECT {_COLUMNS}
    FROM listed
    WHERE CAST(:after_time AS timestamptz) IS NULL
       OR (listed.listed_at, listed.id) < (:after_time, :after_id)
    ORDER BY listed.listed_at DESC, listed.id DESC
    LIMIT :limit
    """  # noqa: S608 - the names are our own.
)
_SHOWN = text(
    f"""
    WITH listed AS (
        SELECT subscriptions.*, coalesce(started_at, to_timestamp(0)) AS listed_at,
               coalesce(subscriptions.user_id, customers.user_id) AS shown_to
        FROM subscriptions LEFT JOIN customers ON customers.id = subscriptions.customer_id
        WHERE status IS NOT NULL
          AND (subscriptions.id = ANY(CAST(:ids AS text[]))
               OR (subscriptions.customer_id = ANY(CAST(:customers AS text[]))
                   AND subscriptions.user_id IS NULL))
    )
    SELECT listed.shown_to, listed.customer_id, {_COLUMNS}
    FROM listed ORDER BY listed.id
    """  # noqa: S608 - as above.
)
