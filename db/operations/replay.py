"""Which stored events are to be run again, and what the tables say of what they touch."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, text


@dataclass(frozen=True, slots=True)
class Selection:
    """Events to be chosen: those that meet everything that is set; nothing set means all.

    `since` is when we received them. `user_id` chooses events that name the user or a Stripe
    customer of theirs.
    """

    event_ids: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    event_type: str | None = None
    since: datetime | None = None
    user_id: str | None = None

    @property
    def leaves_out_paused(self) -> bool:
        """Whether paused types are left alone: they are run only when named."""
        return not (self.event_ids or self.event_type)


Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A stored event as it is chosen; its status may be another one by the time it is claimed."""

    id: str
    type: str
    created: int
    received_ms: int
    body: bytes
    place: Place


def count(connection: Connection, selection: Selection) -> int:
    """How many events are chosen."""
    query = text(f"SELECT count(*) FROM webhook_events WHERE {_where(selection)}")  # noqa: S608 - clauses are the constants below.
    return int(connection.execute(query, _wanted(selection)).scalar_one())


def page(
    connection: Connection, selection: Selection, after: Place | None, limit: int
) -> list[Found]:
    """The next events in the order they came, beginning after a place."""
    rows = connection.execute(
        _page(selection, is_first=after is None),
        {
            **_wanted(selection),
            "limit": limit,
            **({"after_at": after[0], "after_id": after[1]} if after else {}),
        },
    )
    return [
        Found(
            id=row.id,
            type=row.type,
            created=int(row.created),
            received_ms=int(row.received_ms),
            body=bytes(row.body),
            place=(row.received_at, row.id),
        )
        for row in rows
    ]


def _page(selection: Selection, *, is_first: bool) -> TextClause:
    where = _where(selection)
    if not is_first:
        where += " AND (received_at, id) > (:after_at, :after_id)"
    return text(
        "SELECT id, type, extract(epoch FROM created_at) AS created, received_at, body,"  # noqa: S608 - as above.
        " extract(epoch FROM received_at) * 1000 AS received_ms"
        f" FROM webhook_events WHERE {where} ORDER BY received_at, id LIMIT :limit"
    )


def _where(selection: Selection) -> str:
    # Only what is asked for is in the statement, so that each has the plan it deserves.
    clauses = ["true"]
    if selection.event_ids:
        clauses.append("id = ANY(CAST(:ids AS text[]))")
    if selection.statuses:
        clauses.append("status = ANY(CAST(:statuses AS text[]))")
    if selection.event_type:
        clauses.append("type = :type")
    if selection.since:
        clauses.append("received_at >= :since")
    if selection.user_id:
        clauses.append(_OF_USER)
    if selection.leaves_out_paused:
        clauses.append("type <> ALL (ARRAY(SELECT type FROM paused_types))")
    return " AND ".join(clauses)


def _wanted(selection: Selection) -> dict[str, object]:
    wanted = {
        "ids": list(selection.event_ids),
        "statuses": list(selection.statuses),
        "type": selection.event_type,
        "since": selection.since,
        "user": selection.user_id,
    }
    return {name: value for name, value in wanted.items() if value}


State = Mapping[tuple[str, str], Mapping[str, Any]]


def state(
    connection: Connection,
    *,
    payment_ids: Collection[str],
    subscription_ids: Collection[str],
    user_ids: Collection[str],
) -> State:
    """What people can see of these payments, subscriptions and balances, by table and id."""
    chosen = {
        "payments": list(payment_ids),
        "subscriptions": list(subscription_ids),
        "users": list(user_ids),
    }
    return {(row.kind, row.id): row.shown for row in connection.execute(_STATE, chosen)}


_OF_USER = "(user_id = :user OR customer_id IN (SELECT id FROM customers WHERE user_id = :user))"
_STATE = text(
    """
    SELECT 'payment' AS kind, id, jsonb_build_object(
        'status', status, 'tokens', tokens, 'user_id', user_id, 'plan_id', plan_id,
        'amount', amount_minor, 'amount_refunded', refunded_minor,
        'amount_disputed', disputed_minor, 'currency', currency) AS shown
    FROM payments WHERE listed AND id = ANY(CAST(:payments AS text[]))
    UNION ALL
    SELECT 'subscription', id, jsonb_build_object(
        'status', status, 'user_id', user_id, 'items', items, 'cancel_at', cancel_at,
        'cancel_at_period_end', cancel_at_period_end, 'canceled_at', canceled_at,
        'trial_end', trial_end, 'started_at', started_at)
    FROM subscriptions WHERE id = ANY(CAST(:subscriptions AS text[]))
    UNION ALL
    SELECT 'balance', user_id, jsonb_build_object('tokens', balance)
    FROM token_accounts WHERE user_id = ANY(CAST(:users AS text[]))
    """
)
