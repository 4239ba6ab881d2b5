"""Where the live tables and an audit's own disagree, and the events that each row stands on.

Works inside the transaction that `db.operations.audit` opened and filled.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, TextClause, text

from db.operations.audit import read
from db.operations.fact_tables import FACT_TABLES

# How many events are named behind a difference; the others are counted.
EVENTS_NAMED_MAX = 10

_ROWS_AT_A_TIME = 200

# A row that one side lacks differs as a whole, not in a column.
WHOLE_ROW = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row on which the live tables and the recomputed ones disagree.

    `columns` maps a column, or `WHOLE_ROW`, to (live value, recomputed value). `user_id` is set
    where the row is one of a user's; `event_id` where the row itself names an event.
    """

    table: str
    id: str
    columns: Mapping[str, tuple[Any, Any]]
    user_id: str | None = None
    event_id: str | None = None


def differences(connection: Connection) -> Iterator[Difference]:
    """Everything on which live and recomputed tables disagree, read as it is consumed."""
    for table in FACT_TABLES:
        for row in read(connection, _compare(table.name, table.compared), _ROWS_AT_A_TIME):
            yield Difference(table.name, row.id, _differing(row.live, row.again))
    for row in read(connection, LEDGER, _ROWS_AT_A_TIME):
        sums = {f"sum for {row.user_id}": (row.live, row.again)}
        yield Difference("ledger_entries", row.payment_id, sums, user_id=row.user_id)
    for row in read(connection, ADJUSTMENTS, _ROWS_AT_A_TIME):
        sums = {f"sum for {row.user_id}": (row.live, row.again)}
        yield Difference("ledger_entries", row.event_id, sums, event_id=row.event_id)
    for row in read(connection, _ENTRIES, _ROWS_AT_A_TIME):
        yield _entry_difference(row)
    for row in read(connection, _ACCOUNTS, _ROWS_AT_A_TIME):
        pairs = {
            "balance": (row.balance, row.again),
            "sum of entries": (row.entries, row.again),
            "last_grant": (row.last_grant, row.granted),
        }
        columns = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        yield Difference("token_accounts", row.user_id, columns, user_id=row.user_id)


def _entry_difference(row: Row[Any]) -> Difference:
    columns: dict[str, tuple[Any, Any]] = {}
    if row.balance_after != row.follows:
        columns["balance_after"] = (row.balance_after, row.follows)
    if row.is_unknown:
        columns["payment_id"] = (row.payment_id, None)
    return Difference("ledger_entries", str(row.id), columns, event_id=row.event_id)


def _differing(
    live: Mapping[str, Any] | None, again: Mapping[str, Any] | None
) -> dict[str, tuple[Any, Any]]:
    if live is None or again is None:
        return {WHOLE_ROW: (live and _without_empty(live), again and _without_empty(again))}
    return {name: (live[name], again[name]) for name in live if live[name] != again[name]}


def _without_empty(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says, without what it leaves open."""
    return {name: value for name, value in row.items() if value not in (None, [], False)}


def events_behind(connection: Connection, difference: Difference) -> tuple[list[str], int]:
    """The newest events that a row stands on, and how many there are.

    For a payment these are the events of all its objects, then those of its customer and its
    subscription; for a balance, those of all the user's payments.
    """
    is_payment = difference.table == "payments" or (
        difference.table == "ledger_entries" and difference.user_id is not None
    )
    is_account = difference.table == "token_accounts"
    rows = connection.execute(
        _EVENTS_BEHIND,
        {
            "payments": [difference.id] if is_payment else [],
            "user": difference.user_id if is_account else None,
            "subjects": [difference.id],
            "events": [difference.event_id] if difference.event_id else [],
            "limit": EVENTS_NAMED_MAX,
        },
    ).all()
    return [row.id for row in rows], rows[0].total if rows else 0


def _compare(table: str, columns: Iterable[str]) -> TextClause:
    names = ", ".join(columns)
    return text(
        f"""
        SELECT coalesce(live.id, again.id) AS id,
               CASE WHEN live.id IS NOT NULL THEN to_jsonb(live) - 'id' END AS live,
               CASE WHEN again.id IS NOT NULL THEN to_jsonb(again) - 'id' END AS again
        FROM (SELECT id, {names} FROM public.{table}) AS live
        FULL JOIN (SELECT id, {names} FROM pg_temp.{table}) AS again ON live.id = again.id
        WHERE live IS DISTINCT FROM again
        ORDER BY 1
        """  # noqa: S608 - names are our own tables'.
    )


# Entries stay with the object they were posted for; both sums go by the payment that object
# belongs to now, as recomputed.
LEDGER = text(
    """
    WITH live AS (
        SELECT coalesce(object.root_id, entry.payment_id) AS payment_id, entry.user_id,
               sum(entry.delta) AS tokens
        FROM public.ledger_entries AS entry
        LEFT JOIN pg_temp.payments AS object ON object.id = entry.payment_id
        WHERE entry.payment_id IS NOT NULL
        GROUP BY 1, 2
    ), again AS (
        SELECT object.root_id AS payment_id, entry.user_id, sum(entry.delta) AS tokens
        FROM pg_temp.ledger_entries AS entry
        JOIN pg_temp.payments AS object ON object.id = entry.payment_id
        GROUP BY 1, 2
    )
    SELECT payment_id, user_id, to_jsonb(coalesce(live.tokens, 0)) AS live,
           to_jsonb(coalesce(again.tokens, 0)) AS again
    FROM live FULL JOIN again USING (payment_id, user_id)
    WHERE coalesce(live.tokens, 0) <> coalesce(again.tokens, 0)
    ORDER BY 1, 2
    """
)
# Entries of a payment that no event tells of stay for good; reversed they are right.
_ENTRIES = text(
    """
    WITH unknown AS (
        SELECT entry.payment_id, entry.user_id
        FROM public.ledger_entries AS entry
        LEFT JOIN pg_temp.payments AS object ON object.id = entry.payment_id
        WHERE entry.payment_id IS NOT NULL AND object.id IS NULL
        GROUP BY entry.payment_id, entry.user_id HAVING sum(entry.delta) <> 0
    )
    SELECT entry.id, entry.event_id, entry.payment_id, entry.balance_after, entry.follows,
           unknown.payment_id IS NOT NULL AS is_unknown
    FROM (
        SELECT id, user_id, event_id, payment_id, balance_after,
               delta + lag(balance_after, 1, CAST(0 AS bigint))
                   OVER (PARTITION BY user_id ORDER BY id) AS follows
        FROM public.ledger_entries
    ) AS entry
    LEFT JOIN unknown ON unknown.payment_id = entry.payment_id AND unknown.user_id = entry.user_id
    WHERE entry.balance_after <> entry.follows OR unknown.payment_id IS NOT NULL
    ORDER BY entry.id
    """
)
# Adjustments by hand: no payment is behind them, each has an event of its own.
ADJUSTMENTS = text(
    """
    WITH live AS (
        SELECT event_id, user_id, sum(delta) AS tokens FROM public.ledger_entries
        WHERE payment_id IS NULL AND event_id IS NOT NULL GROUP BY event_id, user_id
    ), again AS (
        SELECT event_id, user_id, sum(delta) AS tokens FROM pg_temp.ledger_entries
        WHERE payment_id IS NULL AND event_id IS NOT NULL GROUP BY event_id, user_id
    )
    SELECT event_id, user_id, to_jsonb(coalesce(live.tokens, 0)) AS live,
           to_jsonb(coalesce(again.tokens, 0)) AS again
    FROM live FULL JOIN again USING (event_id, user_id)
    WHERE coalesce(live.tokens, 0) <> coalesce(again.tokens, 0)
    ORDER BY 1, 2
    """
)
# What no event tells of (debits, and which grant was posted last) is taken from the live ledger.
_ACCOUNTS = text(
    """
    WITH entries AS (
        SELECT user_id, sum(delta) AS tokens, max(id) FILTER (WHERE kind = 'grant') AS grant_id,
               coalesce(sum(delta) FILTER (WHERE payment_id IS NULL AND event_id IS NULL), 0)
                   AS unpaid
        FROM public.ledger_entries GROUP BY user_id
    ), joined AS (
        SELECT user_id, coalesce(live.balance, 0) AS balance, coalesce(tokens, 0) AS entries,
               coalesce(again.balance, 0) + coalesce(unpaid, 0) AS again,
               live.last_grant, newest.granted
        FROM public.token_accounts AS live
        FULL JOIN entries USING (user_id)
        FULL JOIN pg_temp.token_accounts AS again USING (user_id)
        LEFT JOIN (SELECT id, delta AS granted FROM public.ledger_entries) AS newest
            ON newest.id = entries.grant_id
    )
    SELECT user_id, to_jsonb(balance) AS balance, to_jsonb(entries) AS entries,
           to_jsonb(again) AS again, last_grant, granted
    FROM joined
    WHERE balance <> again OR entries <> again OR last_grant IS DISTINCT FROM granted
    ORDER BY user_id
    """
)
_EVENTS_BEHIND = text(
    """
    WITH objects AS (
        SELECT id, root_id, customer_id, subscription_id FROM pg_temp.payments
        UNION ALL SELECT id, root_id, customer_id, subscription_id FROM public.payments
    ), posted AS (
        SELECT user_id, payment_id, event_id FROM pg_temp.ledger_entries
        UNION ALL SELECT user_id, payment_id, event_id FROM public.ledger_entries
    ), named AS (
        SELECT unnest(CAST(:payments AS text[])) AS id
        UNION SELECT payment_id FROM posted WHERE user_id = :user AND payment_id IS NOT NULL
    ), roots AS (
        SELECT root_id AS id FROM objects WHERE id IN (SELECT id FROM named)
        UNION SELECT id FROM named
    ), members AS MATERIALIZED (
        SELECT * FROM objects WHERE root_id IN (SELECT id FROM roots)
    ), own AS (
        SELECT id FROM members
        UNION SELECT unnest(CAST(:subjects AS text[]))
        UNION SELECT id FROM pg_temp.refunds WHERE target_id IN (SELECT id FROM members)
        UNION SELECT id FROM public.refunds WHERE target_id IN (SELECT id FROM members)
        UNION SELECT id FROM pg_temp.disputes WHERE target_id IN (SELECT id FROM members)
        UNION SELECT id FROM public.disputes WHERE target_id IN (SELECT id FROM members)
        UNION SELECT id FROM pg_temp.credit_notes WHERE target_id IN (SELECT id FROM members)
        UNION SELECT id FROM public.credit_notes WHERE target_id IN (SELECT id FROM members)
    ), parties AS (
        SELECT customer_id AS id FROM members UNION SELECT subscription_id FROM members
        UNION SELECT id FROM public.customers WHERE user_id = :user
        UNION SELECT id FROM pg_temp.customers WHERE user_id = :user
    ), behind AS (
        SELECT event_id AS id, 1 AS distance FROM audit_touches
        WHERE subject IN (SELECT id FROM own)
        UNION ALL SELECT id, 1 FROM public.webhook_events
        WHERE object_id IN (SELECT id FROM own) AND status <> 'ignored'
        UNION ALL SELECT unnest(CAST(:events AS text[])), 1
        UNION ALL SELECT event_id, 2 FROM audit_touches
        WHERE subject IN (SELECT id FROM parties)
    )
    SELECT event.id, count(*) OVER () AS total
    FROM (SELECT id, min(distance) AS distance FROM behind GROUP BY id) AS nearest
    JOIN public.webhook_events AS event USING (id)
    ORDER BY nearest.distance, event.created_at DESC, event.id DESC
    LIMIT :limit
    """
)
