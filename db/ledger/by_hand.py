"""What must be known before a person's word is taken: users, payments, and what came of it."""

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class PaymentNow:
    """A payment as the table shows it; `id` is its root, whichever of its objects was named."""

    id: str
    listed: bool
    status: str | None
    user_id: str | None
    plan_id: int | None
    tokens: int


def is_known(connection: Connection, user_id: str) -> bool:
    """Whether anything was ever heard of a user: an account, a customer or a payment."""
    return bool(connection.execute(_IS_KNOWN, {"user": user_id}).scalar_one())


def payment(connection: Connection, object_id: str) -> PaymentNow | None:
    """The payment that an invoice, session, intent or charge belongs to; None when unknown."""
    row = connection.execute(_PAYMENT, {"id": object_id}).mappings().one_or_none()
    return PaymentNow(**row) if row else None


def balance(connection: Connection, user_id: str) -> int:
    """A user's tokens; none where there is no account."""
    tokens = connection.execute(_BALANCE, {"user": user_id}).scalar_one_or_none()
    return 0 if tokens is None else int(tokens)


_IS_KNOWN = text(
    "SELECT EXISTS (SELECT FROM token_accounts WHERE user_id = :user)"
    " OR EXISTS (SELECT FROM customers WHERE user_id = :user)"
    " OR EXISTS (SELECT FROM payments WHERE listed AND user_id = :user)"
)
_PAYMENT = text(
    "SELECT root.id, root.listed, root.status, root.user_id, root.plan_id, root.tokens"
    " FROM payments AS named JOIN payments AS root ON root.id = named.root_id"
    " WHERE named.id = :id"
)
_BALANCE = text("SELECT balance FROM token_accounts WHERE user_id = :user")
