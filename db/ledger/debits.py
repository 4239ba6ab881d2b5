"""Spends tokens: one ledger entry and the balance with it, once for each idempotency key.

A debit never takes a balance below zero, whatever else moves it at the same time. It touches
nothing but one user's account and ledger.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, text

from db.outbox import changes, messages
from db.outbox.changes import Moved
from db.queries import LedgerEntry
from domain.errors import BillingError, KeyReusedError


@dataclass(frozen=True, slots=True)
class Debited:
    """The entry of a debit; `is_new` tells a first time from a repeat."""

    entry: LedgerEntry
    is_new: bool


class InsufficientTokensError(BillingError):
    """The balance does not cover the amount; nothing was changed."""

    def __init__(self, balance: int) -> None:
        super().__init__(f"the balance is {balance}")
        self.balance = balance


def debit(
    connection: Connection, user_id: str, *, amount: int, reason: str, idempotency_key: str
) -> Debited:
    """Take `amount` (at least 1) from the user's tokens, or find that this was already done.

    The account stays locked until the transaction ends, so debits of one user queue, and the
    pipeline's postings queue with them. Raises `KeyReusedError` or `InsufficientTokensError`.
    """
    # A user without an account has nothing to lock, nothing to spend and no entry to repeat.
    account = connection.execute(_LOCK, {"user_id": user_id}).one_or_none()
    balance = account.balance if account else 0
    # Looked for under the lock: what was posted before it was granted is visible now.
    posted = (
        connection.execute(_POSTED, {"user_id": user_id, "key": idempotency_key})
        .mappings()
        .one_or_none()
    )
    if posted:
        return Debited(_repeated(posted, amount, reason), is_new=False)
    if balance < amount:
        raise InsufficientTokensError(balance)
    entry = (
        connection.execute(
            _POST,
            {
                "user_id": user_id,
                "delta": -amount,
                "reason": reason,
                "key": idempotency_key,
            },
        )
        .mappings()
        .one()
    )
    debited = LedgerEntry(**entry)
    last_grant = account.last_grant if account else None
    moved = Moved(user_id, balance, balance - amount, last_grant, debited.created_at)
    messages.write(connection, list(changes.of_tokens(connection, [moved])))
    return Debited(debited, is_new=True)


def _repeated(posted: RowMapping, amount: int, reason: str) -> LedgerEntry:
    entry = LedgerEntry(**posted)
    if (entry.kind, entry.delta, entry.reason) != ("debit", -amount, reason):
        raise KeyReusedError("The key was used for another amount or reason.")
    return entry


_COLUMNS = "id, delta, kind, balance_after, payment_id, event_id, reason, created_at"
_LOCK = text("SELECT balance, last_grant FROM token_accounts WHERE user_id = :user_id FOR UPDATE")
_POSTED = text(
    f"SELECT {_COLUMNS} FROM ledger_entries"  # noqa: S608 - the names are our own.
    " WHERE user_id = :user_id AND idempotency_key = :key"
)
_POST = text(
    f"""
    WITH moved AS (
        UPDATE token_accounts SET balance = balance + :delta, updated_at = now()
        WHERE user_id = :user_id
        RETURNING user_id, balance
    )
    INSERT INTO ledger_entries (user_id, delta, kind, balance_after, reason, idempotency_key)
    SELECT user_id, :delta, 'debit', balance, :reason, :key FROM moved
    RETURNING {_COLUMNS}
    """  # noqa: S608 - as above.
)
