"""What our tables say of subscriptions, read for a comparison with Stripe. Nothing is written."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from db.ledger.rows import seconds, subscription_from, when
from domain.payments.details import INVOICE_RANK
from domain.subscriptions.comparison import OwnSubscription
from domain.subscriptions.states import FINAL_STATUSES, Item, SubscriptionState


def by_id(connection: Connection, ids: Sequence[str]) -> dict[str, OwnSubscription]:
    """Subscriptions whose state we know, by id; others are left out."""
    return {row.id: _here(row) for row in connection.execute(_BY_ID, {"ids": list(ids)})}


def live(
    connection: Connection, *, floor: int | None, ceiling: int | None, after: str, limit: int
) -> list[OwnSubscription]:
    """Subscriptions that have not ended, by id from `after` on.

    Those that began at the second `floor` or later and before `ceiling` (None: no bound). Without
    a floor those of unknown beginning are among them.
    """
    rows = connection.execute(
        _LIVE,
        {
            "final": sorted(FINAL_STATUSES),
            "floor": when(floor),
            "ceiling": when(ceiling),
            "after": after,
            "limit": limit,
        },
    )
    return [_here(row) for row in rows]


def invoices_paid(connection: Connection, ids: Sequence[str]) -> dict[str, bool]:
    """Whether an invoice is paid, by id, for those that we know."""
    rows = connection.execute(_INVOICES, {"ids": list(ids)})
    return {row.id: row.rank == INVOICE_RANK["paid"] for row in rows}


def newest_reports(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """When Stripe reported a subscription last, by its clock, for those with a report."""
    rows = connection.execute(_REPORTS, {"ids": list(ids)})
    subscriptions = (subscription_from(row) for row in rows)
    return {
        subscription.id: max(version.created for version in subscription.versions)
        for subscription in subscriptions
        if subscription.versions
    }


def _here(row: Any) -> OwnSubscription:  # noqa: ANN401 - rows are typed by their query.
    return OwnSubscription(
        id=row.id,
        customer_id=row.customer_id,
        owner_id=row.owner_id,
        claimed_plan_id=row.claimed_plan_id,
        state=SubscriptionState(
            status=row.status,
            user_id=row.user_id,
            items=tuple(_item(item) for item in row.items),
            cancel_at_period_end=row.cancel_at_period_end,
            cancel_at=seconds(row.cancel_at),
            canceled_at=seconds(row.canceled_at),
            trial_end=seconds(row.trial_end),
            started=seconds(row.started_at),
        ),
    )


def _item(item: Any) -> Item:  # noqa: ANN401 - as above.
    names = ("id", "price_id", "quantity", "period_start", "period_end")
    return Item(*(item[name] for name in names))


_COLUMNS = """
    SELECT subscriptions.*, coalesce(subscriptions.user_id, customers.user_id) AS owner_id
    FROM subscriptions LEFT JOIN customers ON customers.id = subscriptions.customer_id
"""
_REPORTS = text(
    "SELECT id, customer_id, claimed_plan_id, claimed_plan_created, claimed_plan_event_id,"
    " CAST(sold AS text) AS sold, versions FROM subscriptions"
    " WHERE id = ANY(:ids) AND versions IS NOT NULL"
)
_BY_ID = text(f"{_COLUMNS} WHERE subscriptions.id = ANY(:ids) AND status IS NOT NULL")
_LIVE = text(
    f"""
    {_COLUMNS}
    WHERE status <> ALL(:final) AND subscriptions.id > :after
      AND (CAST(:floor AS timestamptz) IS NULL OR started_at >= :floor)
      AND (CAST(:ceiling AS timestamptz) IS NULL OR started_at IS NULL OR started_at < :ceiling)
    ORDER BY subscriptions.id LIMIT :limit
    """
)
_INVOICES = text(
    "SELECT id, CAST(facts #>> '{invoice,rank}' AS integer) AS rank"
    " FROM payments WHERE id = ANY(:ids)"
)
