"""The checkout lease: the right to ask Stripe for a buyer, and what may be done only with it.

No transaction lasts while Stripe is asked. So the buyer's row carries a lease: whoever holds it
asks, the others wait and answer with what came of it. The lease of a process that died runs out,
and the next one asks again with the same idempotency key.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from db.checkout import purchases
from db.checkout.purchases import Keyed, Purchase
from domain.checkout.order import Order
from domain.errors import BillingError

# Longer than any request may take, so that who lives still holds the lease.
LEASE_SECONDS = 25


class CheckoutLeaseLostError(BillingError):
    """The lease ran out before what was asked for came."""


@dataclass(frozen=True, slots=True)
class CheckoutLease:
    """The right to ask Stripe for a user; `purchase` is the one to go on with, if any.

    `is_repeat` says that the purchase came of an earlier request with the same key.
    """

    id: str
    user_id: str
    purchase: Purchase | None
    is_repeat: bool


def acquire(
    connection: Connection, user_id: str, fingerprint: str, keyed: Keyed | None
) -> Purchase | CheckoutLease | None:
    """The purchase that answers this order already, or the lease; None while another holds it.

    Raises `KeyReusedError`.
    """
    connection.execute(_ENSURE_BUYER, {"user_id": user_id})
    buyer = connection.execute(_LOCK_BUYER, {"user_id": user_id}).one()
    purchases.note_ended(connection, user_id)
    repeated = purchases.of_key(connection, user_id, keyed)
    purchase = repeated or purchases.open_alike(connection, user_id, fingerprint)
    if purchase:
        purchases.bind(connection, user_id, keyed, purchase.id)
        if purchase.is_answer:
            return purchase
    if buyer.is_leased:
        return None
    lease = CheckoutLease(uuid.uuid4().hex, user_id, purchase, is_repeat=repeated is not None)
    connection.execute(_ACQUIRE, {**_key(lease), "seconds": LEASE_SECONDS})
    return lease


def release(connection: Connection, lease: CheckoutLease) -> None:
    """Let the next one ask; nothing when the lease ran out and is another's."""
    connection.execute(_RELEASE, _key(lease))


def keep_customer(connection: Connection, lease: CheckoutLease, customer_id: str) -> None:
    """Remember the customer that was made for the user; raises `CheckoutLeaseLostError`."""
    _require(connection, lease)
    connection.execute(_KEEP_CUSTOMER, {"user_id": lease.user_id, "customer_id": customer_id})


def attempt(connection: Connection, lease: CheckoutLease) -> int:
    """How many customers were tried to be made for the user in vain."""
    return int(connection.execute(_ATTEMPT, {"user_id": lease.user_id}).scalar_one())


def next_attempt(
    connection: Connection, lease: CheckoutLease, missing_customer_id: str | None = None
) -> None:
    """Let the next customer be made under a new key; the missing one is never used again.

    Raises `CheckoutLeaseLostError`.
    """
    _require(connection, lease)
    wanted = {"user_id": lease.user_id, "missing": missing_customer_id}
    connection.execute(_NEXT_ATTEMPT, wanted)


def begin(
    connection: Connection,
    lease: CheckoutLease,
    order: Order,
    keyed: Keyed | None,
    *,
    purchase_id: str,
    params: Mapping[str, Any],
) -> Purchase:
    """Write a purchase down before Stripe is asked; raises `CheckoutLeaseLostError`."""
    _require(connection, lease)
    purchase = purchases.insert(connection, order, purchase_id, params)
    purchases.bind(connection, order.user_id, keyed, purchase_id)
    return purchase


def record(
    connection: Connection, lease: CheckoutLease, purchase_id: str, session: Mapping[str, Any]
) -> Purchase:
    """Note the open session that Stripe made for a purchase, as Stripe tells of it.

    Raises `CheckoutLeaseLostError`: whoever holds the lease now did not see this session, which
    must not be handed out beside theirs.
    """
    _require(connection, lease)
    return purchases.set_session(connection, purchase_id, session)


def _require(connection: Connection, lease: CheckoutLease) -> None:
    if connection.execute(_REQUIRE, _key(lease)).first() is None:
        raise CheckoutLeaseLostError("The lease to ask Stripe for this user ran out.")


def _key(lease: CheckoutLease) -> dict[str, object]:
    return {"user_id": lease.user_id, "lease_id": lease.id}


# The columns are called claims: they were made before the lease was called one.
_ENSURE_BUYER = text("INSERT INTO buyers (user_id) VALUES (:user_id) ON CONFLICT DO NOTHING")
_ATTEMPT = text("SELECT attempt FROM buyers WHERE user_id = :user_id")
_LOCK_BUYER = text(
    "SELECT coalesce(claimed_until > clock_timestamp(), false) AS is_leased"
    " FROM buyers WHERE user_id = :user_id FOR UPDATE"
)
_ACQUIRE = text(
    "UPDATE buyers SET claim_id = :lease_id,"
    " claimed_until = clock_timestamp() + make_interval(secs => :seconds) WHERE user_id = :user_id"
)
_RELEASE = text(
    "UPDATE buyers SET claim_id = NULL, claimed_until = NULL"
    " WHERE user_id = :user_id AND claim_id = :lease_id"
)
_REQUIRE = text("SELECT 1 FROM buyers WHERE user_id = :user_id AND claim_id = :lease_id FOR UPDATE")
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
