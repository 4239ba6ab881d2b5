"""Purchases on their way to Stripe, and whose turn it is to ask Stripe for a user.

No transaction lasts while Stripe is asked. So a row claims the turn: whoever holds it asks, the
others wait and answer with what came of it. A claim whose holder died runs out, and the next one
asks again with the same idempotency key.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

from db.ledger.rows import when
from domain.checkout.order import TRIAL_IN_PARAMS, Order
from domain.errors import BillingError, KeyReusedError
from domain.json_values import mapping_of, time_of
from domain.payments.details import SESSION_RANK

# Longer than any request may take, so that a holder that lives still holds it.
CLAIM_SECONDS = 25
# So long an open session is handed out again without asking Stripe whether it is still open.
FRESH_SECONDS = 10


class CheckoutLeaseLostError(BillingError):
    """The claim ran out before what was asked for came."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """An idempotency key of the caller's, and the hash of what was sent with it."""

    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase; without a `session_id` Stripe has not answered yet.

    `params` is what Stripe is asked for, and stays. `is_answer` says that it can be handed out
    as it is.
    """

    id: str
    params: Mapping[str, Any]
    state: str
    session_id: str | None
    url: str | None
    is_answer: bool

    @property
    def customer_id(self) -> str:
        """The Stripe customer who is to pay."""
        return str(self.params["customer"])

    @property
    def has_trial(self) -> bool:
        """Whether it begins with a trial."""
        group, days = TRIAL_IN_PARAMS
        return days in mapping_of(self.params.get(group))


@dataclass(frozen=True, slots=True)
class CheckoutLease:
    """The right to ask Stripe for a user; `purchase` is the one to go on with, if any.

    `is_repeat` says that the purchase came of an earlier request with the same key.
    """

    user_id: str
    claim_id: str
    purchase: Purchase | None
    is_repeat: bool


def enter(
    connection: Connection, user_id: str, fingerprint: str, keyed: Keyed | None
) -> Purchase | CheckoutLease | None:
    """The purchase that answers this order already, or the turn to ask; None while others ask.

    Raises `KeyReusedError`.
    """
    connection.execute(_ENSURE_BUYER, {"user_id": user_id})
    buyer = connection.execute(_LOCK_BUYER, {"user_id": user_id}).one()
    connection.execute(_SETTLE, {"user_id": user_id, **SESSION_RANK})
    repeated = _of_key(connection, user_id, keyed)
    purchase = repeated or _open(connection, user_id, fingerprint)
    if purchase:
        _bind(connection, user_id, keyed, purchase.id)
        if purchase.is_answer:
            return purchase
    if buyer.is_claimed:
        return None
    claim_id = uuid.uuid4().hex
    claim = {"user_id": user_id, "claim_id": claim_id, "seconds": CLAIM_SECONDS}
    connection.execute(_CLAIM, claim)
    return CheckoutLease(user_id, claim_id, purchase, is_repeat=repeated is not None)


def other_plans(connection: Connection, turn: CheckoutLease) -> list[Purchase]:
    """The user's open purchases of full plans that have a session, but the one to go on with."""
    own = turn.purchase.id if turn.purchase else None
    rows = connection.execute(_OTHER_PLANS, {"user_id": turn.user_id, "own": own})
    return [_purchase(row) for row in rows]


def leave(connection: Connection, turn: CheckoutLease) -> None:
    """Give the turn to the next one."""
    connection.execute(_LEAVE, {"user_id": turn.user_id, "claim_id": turn.claim_id})


def keep_customer(connection: Connection, turn: CheckoutLease, customer_id: str) -> None:
    """Remember the customer that was made for the user; raises `CheckoutLeaseLostError`."""
    _hold(connection, turn)
    connection.execute(_KEEP_CUSTOMER, {"user_id": turn.user_id, "customer_id": customer_id})


def attempt(connection: Connection, turn: CheckoutLease) -> int:
    """How many customers were tried to be made for the user in vain."""
    return int(connection.execute(_ATTEMPT, {"user_id": turn.user_id}).scalar_one())


def next_attempt(
    connection: Connection, turn: CheckoutLease, missing_customer_id: str | None = None
) -> None:
    """Let the next customer be made under a new key; the missing one is never used again.

    Raises `CheckoutLeaseLostError`.
    """
    _hold(connection, turn)
    wanted = {"user_id": turn.user_id, "missing": missing_customer_id}
    connection.execute(_NEXT_ATTEMPT, wanted)


def begin(
    connection: Connection,
    turn: CheckoutLease,
    order: Order,
    keyed: Keyed | None,
    *,
    purchase_id: str,
    params: Mapping[str, Any],
) -> Purchase:
    """Write a purchase down before Stripe is asked; raises `CheckoutLeaseLostError`."""
    _hold(connection, turn)
    row = {
        "id": purchase_id,
        "user_id": order.user_id,
        "plan_id": order.offer.plan_id,
        "plan_version": order.offer.version,
        "currency": order.currency,
        "amount_minor": order.amount_minor,
        "mode": order.mode,
        "fingerprint": order.fingerprint,
        "params": orjson.dumps(params).decode(),
    }
    connection.execute(_BEGIN, row)
    _bind(connection, order.user_id, keyed, purchase_id)
    return Purchase(purchase_id, params, "open", None, None, is_answer=False)


def record(
    connection: Connection, turn: CheckoutLease, purchase_id: str, session: Mapping[str, Any]
) -> Purchase:
    """Note the open session that Stripe made for a purchase, as Stripe tells of it.

    Raises `CheckoutLeaseLostError`: whoever has the turn now did not see this session, which
    must not be handed out beside theirs.
    """
    _hold(connection, turn)
    row = {
        "id": purchase_id,
        "session_id": session["id"],
        "url": session["url"],
        "expires_at": when(time_of(session.get("expires_at"))),
    }
    return _purchase(connection.execute(_RECORD, row).one())


def still_open(connection: Connection, purchase_id: str) -> None:
    """Note that Stripe said just now that the session can still be paid."""
    connection.execute(_STILL_OPEN, {"id": purchase_id})


def end(connection: Connection, purchase_id: str, state: str) -> None:
    """End an open purchase: complete, expired, refused, or lost, so that nothing can come of it."""
    connection.execute(_END, {"id": purchase_id, "state": state})


def _of_key(connection: Connection, user_id: str, keyed: Keyed | None) -> Purchase | None:
    if keyed is None:
        return None
    row = connection.execute(_OF_KEY, {"user_id": user_id, "key": keyed.key}).one_or_none()
    if row is None:
        return None
    if row.request_hash != keyed.request_hash:
        raise KeyReusedError("The key was used for another purchase.")
    return _purchase(row) if row.state in ("open", "complete") else None


def _open(connection: Connection, user_id: str, fingerprint: str) -> Purchase | None:
    wanted = {"user_id": user_id, "fingerprint": fingerprint}
    row = connection.execute(_OPEN, wanted).one_or_none()
    return _purchase(row) if row else None


def _purchase(row: Any) -> Purchase:  # noqa: ANN401 - rows are typed by their query.
    heard_at = max(row.created_at, row.asked_at or row.created_at)
    is_fresh = (row.read_at - heard_at).total_seconds() < FRESH_SECONDS
    is_answer = row.url is not None and (row.state == "complete" or is_fresh)
    return Purchase(row.id, row.params, row.state, row.session_id, row.url, is_answer=is_answer)


def _bind(connection: Connection, user_id: str, keyed: Keyed | None, purchase_id: str) -> None:
    if keyed:
        bound = {"user_id": user_id, "key": keyed.key, "request_hash": keyed.request_hash}
        connection.execute(_BIND, bound | {"purchase_id": purchase_id})


def _hold(connection: Connection, turn: CheckoutLease) -> None:
    held = {"user_id": turn.user_id, "claim_id": turn.claim_id}
    if connection.execute(_HOLD, held).first() is None:
        raise CheckoutLeaseLostError("The claim to ask Stripe for this user ran out.")


_ENSURE_BUYER = text("INSERT INTO buyers (user_id) VALUES (:user_id) ON CONFLICT DO NOTHING")
_ATTEMPT = text("SELECT attempt FROM buyers WHERE user_id = :user_id")
_LOCK_BUYER = text(
    "SELECT coalesce(claimed_until > clock_timestamp(), false) AS is_claimed"
    " FROM buyers WHERE user_id = :user_id FOR UPDATE"
)
_CLAIM = text(
    "UPDATE buyers SET claim_id = :claim_id,"
    " claimed_until = clock_timestamp() + make_interval(secs => :seconds) WHERE user_id = :user_id"
)
_LEAVE = text(
    "UPDATE buyers SET claim_id = NULL, claimed_until = NULL"
    " WHERE user_id = :user_id AND claim_id = :claim_id"
)
_HOLD = text("SELECT 1 FROM buyers WHERE user_id = :user_id AND claim_id = :claim_id FOR UPDATE")
_KEEP_CUSTOMER = text("UPDATE buyers SET customer_id = :customer_id WHERE user_id = :user_id")
_NEXT_ATTEMPT = text(
    """
    UPDATE buyers
    SET attempt = attempt + 1,
        customer_id = nullif(customer_id, :missing),
        missing_customer_ids = CASE WHEN CAST(:missing AS text) IS NULL THEN missing_customer_ids
                               ELSE missing_customer_ids || to_jsonb(CAST(:missing AS text)) END
    WHERE user_id = :user_id
    """
)
# What the events have told already need not be asked.
_SETTLE = text(
    """
    UPDATE purchases
    SET state = CASE CAST(payments.facts #>> '{session,rank}' AS integer)
                WHEN :complete THEN 'complete' ELSE 'expired' END
    FROM payments
    WHERE purchases.user_id = :user_id AND purchases.state = 'open'
      AND payments.id = purchases.session_id
      AND CAST(payments.facts #>> '{session,rank}' AS integer) > :open
    """
)
_OPEN = text(
    "SELECT *, clock_timestamp() AS read_at FROM purchases"
    " WHERE user_id = :user_id AND fingerprint = :fingerprint AND state = 'open'"
)
_OTHER_PLANS = text(
    """
    SELECT purchases.*, clock_timestamp() AS read_at
    FROM purchases JOIN plans ON plans.id = purchases.plan_id AND plans.version = plan_version
    WHERE user_id = :user_id AND state = 'open' AND session_id IS NOT NULL AND plans.type = 'full'
      AND purchases.id IS DISTINCT FROM :own
      -- Stripe's clock decides, and ours may be ahead of it.
      AND coalesce(expires_at > now() - interval '1 hour', true)
    ORDER BY created_at DESC
    """
)
_OF_KEY = text(
    "SELECT purchases.*, checkout_keys.request_hash, clock_timestamp() AS read_at"
    " FROM checkout_keys JOIN purchases ON purchases.id = checkout_keys.purchase_id"
    " WHERE checkout_keys.user_id = :user_id AND checkout_keys.idempotency_key = :key"
)
_BIND = text(
    """
    INSERT INTO checkout_keys (user_id, idempotency_key, request_hash, purchase_id)
    VALUES (:user_id, :key, :request_hash, :purchase_id)
    ON CONFLICT (user_id, idempotency_key) DO UPDATE SET purchase_id = EXCLUDED.purchase_id
    WHERE checkout_keys.purchase_id <> EXCLUDED.purchase_id
    """
)
_BEGIN = text(
    """
    INSERT INTO purchases (id, user_id, plan_id, plan_version, currency, amount_minor, mode,
                           fingerprint, params)
    VALUES (:id, :user_id, :plan_id, :plan_version, :currency, :amount_minor, :mode,
            :fingerprint, CAST(:params AS jsonb))
    """
)
_RECORD = text(
    "UPDATE purchases SET session_id = :session_id, url = :url, expires_at = :expires_at"
    " WHERE id = :id RETURNING *, clock_timestamp() AS read_at"
)
_STILL_OPEN = text("UPDATE purchases SET asked_at = clock_timestamp() WHERE id = :id")
_END = text("UPDATE purchases SET state = :state WHERE id = :id AND state = 'open'")
