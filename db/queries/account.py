"""A user's account: payments, balance, and the ledger."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

from db.queries.positions import TimedPosition, page_after


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


def payments(
    connection: Connection, user_id: str, *, limit: int, after: TimedPosition | None = None
) -> list[Payment]:
    """A user's payments, newest first."""
    rows = connection.execute(_PAYMENTS, page_after(user_id, limit, after)).mappings()
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
