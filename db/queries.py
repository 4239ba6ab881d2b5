"""What the read endpoints show: each query answers for one user, or for the catalogue.

Nothing here writes. Lists are read by keyset: give the position of the last row that was shown,
get the rows after it. Amounts are in minor units, times in UTC.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

import db.ledger.catalogue
from domain.catalogue.plans import Catalogue
from domain.payments.line_plans import claimed_item
from domain.subscriptions.states import ACTIVE_STATUSES

# A row's place in a list that is read by time: when it is listed, and its id.
TimedPosition = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it is sold now; `amount` is its price in `currency`, None when it has none.

    A period is `interval_count` intervals long; both are None where it is bought once.
    """

    id: int
    plan_type: str
    name: str
    description: str
    tokens: int
    interval: str | None
    interval_count: int | None
    currency: str | None
    amount: int | None
    prices: Mapping[str, int]


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
class Payment:
    """An invoice or a one-time session, with what was taken back; `tokens` is its worth now."""

    id: str
    amount: int
    amount_refunded: int
    amount_disputed: int
    currency: str | None
    status: str
    plan_id: int | None
    plan_type: str | None
    subscription_id: str | None
    tokens: int
    receipt_url: str | None
    note: str | None
    created_at: datetime | None
    position: TimedPosition


@dataclass(frozen=True, slots=True)
class Balance:
    """What a user has; `updated_at` is None while nothing ever happened."""

    balance: int
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of a user's ledger; `payment_id` is the payment's id as it stands now."""

    id: int
    delta: int
    kind: str
    balance_after: int
    payment_id: str | None
    event_id: str | None
    reason: str
    created_at: datetime


_PLANS = text(
    """
    SELECT plans.id, plans.type, plans.name, plans.description, plans.tokens, plans.interval,
           CASE WHEN plans.interval IS NOT NULL THEN plans.interval_count END AS interval_count,
           (SELECT coalesce(jsonb_object_agg(prices.currency, prices.amount_minor), '{}')
            FROM plan_prices AS prices
            WHERE prices.plan_id = plans.id AND prices.version = plans.version
              AND prices.on_sale) AS prices
    FROM plans
    WHERE plans.is_current AND plans.active AND plans.type = :plan_type AND plans.id > :after
    ORDER BY plans.id
    LIMIT :limit
    """
)

_SUBSCRIPTIONS = text(
    """
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
    SELECT listed.id, listed.status, listed.cancel_at_period_end, listed.cancel_at,
           listed.canceled_at, listed.trial_end, listed.pause_collection, listed.listed_at,
           coalesce(listed.named_plan_id, listed.claimed_plan_id) AS named_plan_id,
           coalesce(listed.named_plan_created, listed.claimed_plan_created) AS named_plan_created,
           (SELECT coalesce(jsonb_agg(listed_item.item || jsonb_build_object(
                       'plan_id', plans.id,
                       'plan_type', plans.type) ORDER BY listed_item.place), '[]')
            FROM jsonb_array_elements(listed.items) WITH ORDINALITY AS listed_item (item, place)
            LEFT JOIN stripe_prices ON stripe_prices.id = listed_item.item ->> 'price_id'
            LEFT JOIN plans ON plans.is_current AND plans.id = stripe_prices.plan_id) AS items
    FROM listed
    WHERE CAST(:after_time AS timestamptz) IS NULL
       OR (listed.listed_at, listed.id) < (:after_time, :after_id)
    ORDER BY listed.listed_at DESC, listed.id DESC
    LIMIT :limit
    """
)

_PAYMENTS = text(
    """
    WITH listed AS (
        SELECT payments.*, coalesce(created_at, to_timestamp(0)) AS listed_at
        FROM payments
        WHERE listed AND user_id = :user_id
    )
    SELECT listed.id, listed.amount_minor, listed.refunded_minor, listed.disputed_minor,
           listed.currency, listed.status, listed.plan_id, plans.type AS plan_type,
           listed.subscription_id, listed.tokens, listed.receipt_url, listed.note,
           listed.created_at,
           listed.listed_at
    FROM listed LEFT JOIN plans ON plans.id = listed.plan_id AND plans.is_current
    WHERE CAST(:after_time AS timestamptz) IS NULL
       OR (listed.listed_at, listed.id) < (:after_time, :after_id)
    ORDER BY listed.listed_at DESC, listed.id DESC
    LIMIT :limit
    """
)

_BALANCE = text("SELECT balance, updated_at FROM token_accounts WHERE user_id = :user_id")

_LEDGER = text(
    """
    SELECT entries.id, entries.delta, entries.kind, entries.balance_after,
           coalesce(payments.root_id, entries.payment_id) AS payment_id,
           NULLIF(entries.event_id, '') AS event_id, entries.reason, entries.created_at
    FROM ledger_entries AS entries LEFT JOIN payments ON payments.id = entries.payment_id
    WHERE entries.user_id = :user_id
      AND (CAST(:before AS bigint) IS NULL OR entries.id < :before)
    ORDER BY entries.id DESC
    LIMIT :limit
    """
)


def plans(
    connection: Connection,
    plan_type: str,
    currencies: tuple[str, ...],
    *,
    limit: int,
    after: int | None = None,
) -> list[Plan]:
    """The plans on sale of one type, by id; priced in the first of `currencies` they have.

    A plan that has none of them is priced in its own first currency by name.
    """
    rows = connection.execute(
        _PLANS, {"plan_type": plan_type, "after": after or 0, "limit": limit}
    ).mappings()
    return [_plan(row, currencies) for row in rows]


def subscriptions(
    connection: Connection, user_id: str, *, limit: int, after: TimedPosition | None = None
) -> list[Subscription]:
    """A user's subscriptions, newest first; those Stripe has not yet described are left out."""
    rows = connection.execute(_SUBSCRIPTIONS, _timed(user_id, limit, after)).mappings()
    return [_subscription(row, items) for row, items in _with_plans(connection, rows.all())]


def _with_plans(
    connection: Connection, rows: Sequence[RowMapping]
) -> Iterator[tuple[RowMapping, list[dict[str, Any]]]]:
    """Each row with its items; where no price is known, one item is the plan that is claimed."""
    catalogue: Catalogue | None = None
    for row in rows:
        items = row["items"]
        if row["named_plan_id"] is not None and all(item["plan_id"] is None for item in items):
            catalogue = catalogue or db.ledger.catalogue.load(connection)
            _claim(items, row, catalogue)
        yield row, items


def _claim(items: list[dict[str, Any]], row: RowMapping, catalogue: Catalogue) -> None:
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


def payments(
    connection: Connection, user_id: str, *, limit: int, after: TimedPosition | None = None
) -> list[Payment]:
    """A user's payments, newest first."""
    rows = connection.execute(_PAYMENTS, _timed(user_id, limit, after)).mappings()
    return [_payment(row) for row in rows]


def balance(connection: Connection, user_id: str) -> Balance:
    """A user's tokens; nothing known is a balance of 0."""
    row = connection.execute(_BALANCE, {"user_id": user_id}).one_or_none()
    return Balance(row.balance, row.updated_at) if row else Balance(0, None)


def ledger(
    connection: Connection, user_id: str, *, limit: int, before: int | None = None
) -> list[LedgerEntry]:
    """A user's ledger entries, newest first."""
    rows = connection.execute(
        _LEDGER, {"user_id": user_id, "before": before, "limit": limit}
    ).mappings()
    return [LedgerEntry(**row) for row in rows]


def _timed(user_id: str, limit: int, after: TimedPosition | None) -> dict[str, Any]:
    time, row_id = after or (None, None)
    return {"user_id": user_id, "limit": limit, "after_time": time, "after_id": row_id}


def _plan(row: RowMapping, currencies: tuple[str, ...]) -> Plan:
    prices = dict(sorted(row["prices"].items()))
    currency = next((name for name in (*currencies, *prices) if name in prices), None)
    return Plan(
        id=row["id"],
        plan_type=row["type"],
        name=row["name"],
        description=row["description"],
        tokens=row["tokens"],
        interval=row["interval"],
        interval_count=row["interval_count"],
        currency=currency,
        amount=prices[currency] if currency else None,
        prices=prices,
    )


def _subscription(row: RowMapping, items: Sequence[Mapping[str, Any]]) -> Subscription:
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


def _payment(row: RowMapping) -> Payment:
    return Payment(
        id=row["id"],
        amount=row["amount_minor"],
        amount_refunded=row["refunded_minor"],
        amount_disputed=row["disputed_minor"],
        currency=row["currency"],
        status=row["status"],
        plan_id=row["plan_id"],
        plan_type=row["plan_type"],
        subscription_id=row["subscription_id"],
        tokens=row["tokens"],
        receipt_url=row["receipt_url"],
        note=row["note"],
        created_at=row["created_at"],
        position=(row["listed_at"], row["id"]),
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
