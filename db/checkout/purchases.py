"""Purchases: what users set out to buy, written down before Stripe is asked.

Who writes one down, or notes its session, holds the buyer's lease (`checkout_lease`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

from db.ledger.rows import when
from domain.checkout.order import TRIAL_IN_PARAMS, Order
from domain.errors import KeyReusedError
from domain.json_values import mapping_of, time_of
from domain.payments.details import SESSION_RANK

# So long an open session is handed out again without asking Stripe whether it is still open.
FRESH_SECONDS = 10


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


def note_ended(connection: Connection, user_id: str) -> None:
    """End the user's open purchases whose end the events have told: Stripe need not be asked."""
    connection.execute(_NOTE_ENDED, {"user_id": user_id, **SESSION_RANK})


def of_key(connection: Connection, user_id: str, keyed: Keyed | None) -> Purchase | None:
    """The purchase that came of an earlier request with this key, unless nothing can come of it.

    Raises `KeyReusedError`.
    """
    if keyed is None:
        return None
    row = connection.execute(_OF_KEY, {"user_id": user_id, "key": keyed.key}).one_or_none()
    if row is None:
        return None
    if row.request_hash != keyed.request_hash:
        raise KeyReusedError("The key was used for another purchase.")
    return _purchase(row) if row.state in ("open", "complete") else None


def open_alike(connection: Connection, user_id: str, fingerprint: str) -> Purchase | None:
    """The user's open purchase of the same order."""
    wanted = {"user_id": user_id, "fingerprint": fingerprint}
    row = connection.execute(_OPEN_ALIKE, wanted).one_or_none()
    return _purchase(row) if row else None


def other_plans(
    connection: Connection, user_id: str, *, but: Purchase | None = None
) -> list[Purchase]:
    """The user's open purchases of full plans that have a session, but for this one."""
    own = but.id if but else None
    rows = connection.execute(_OTHER_PLANS, {"user_id": user_id, "own": own})
    return [_purchase(row) for row in rows]


def bind(connection: Connection, user_id: str, keyed: Keyed | None, purchase_id: str) -> None:
    """Let the key, if there is one, stand for this purchase from now on."""
    if keyed:
        bound = {"user_id": user_id, "key": keyed.key, "request_hash": keyed.request_hash}
        connection.execute(_BIND, bound | {"purchase_id": purchase_id})


def insert(
    connection: Connection, order: Order, purchase_id: str, params: Mapping[str, Any]
) -> Purchase:
    """Write a purchase down: what is ordered, and what Stripe will be asked for."""
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
    connection.execute(_INSERT, row)
    return Purchase(purchase_id, params, "open", None, None, is_answer=False)


def set_session(connection: Connection, purchase_id: str, session: Mapping[str, Any]) -> Purchase:
    """Note the open session that Stripe made for a purchase, as Stripe tells of it."""
    row = {
        "id": purchase_id,
        "session_id": session["id"],
        "url": session["url"],
        "expires_at": when(time_of(session.get("expires_at"))),
    }
    return _purchase(connection.execute(_SET_SESSION, row).one())


def still_open(connection: Connection, purchase_id: str) -> None:
    """Note that Stripe said just now that the session can still be paid."""
    connection.execute(_STILL_OPEN, {"id": purchase_id})


def end(connection: Connection, purchase_id: str, state: str) -> None:
    """End an open purchase: complete, expired, refused, or lost, so that nothing can come of it."""
    connection.execute(_END, {"id": purchase_id, "state": state})


def _purchase(row: Any) -> Purchase:  # noqa: ANN401 - rows are typed by their query.
    heard_at = max(row.created_at, row.asked_at or row.created_at)
    is_fresh = (row.read_at - heard_at).total_seconds() < FRESH_SECONDS
    is_answer = row.url is not None and (row.state == "complete" or is_fresh)
    return Purchase(row.id, row.params, row.state, row.session_id, row.url, is_answer=is_answer)


_NOTE_ENDED = text(
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
_OPEN_ALIKE = text(
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
_INSERT = text(
    """
    INSERT INTO purchases (id, user_id, plan_id, plan_version, currency, amount_minor, mode,
                           fingerprint, params)
    VALUES (:id, :user_id, :plan_id, :plan_version, :currency, :amount_minor, :mode,
            :fingerprint, CAST(:params AS jsonb))
    """
)
_SET_SESSION = text(
    "UPDATE purchases SET session_id = :session_id, url = :url, expires_at = :expires_at"
    " WHERE id = :id RETURNING *, clock_timestamp() AS read_at"
)
_STILL_OPEN = text("UPDATE purchases SET asked_at = clock_timestamp() WHERE id = :id")
_END = text("UPDATE purchases SET state = :state WHERE id = :id AND state = 'open'")
