"""What the tables know of one checkout session, for the page that the buyer comes back to."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from domain.checkout.order import SessionKnown
from domain.payments.details import SESSION_RANK


@dataclass(frozen=True, slots=True)
class Session:
    """A user's session; `purchase_id` is None where it was not made by us."""

    purchase_id: str | None
    plan_id: int | None
    known: SessionKnown


def of_user(connection: Connection, user_id: str, session_id: str) -> Session | None:
    """A session of this user; None for whatever is not."""
    wanted = {"user_id": user_id, "session_id": session_id}
    row = connection.execute(_SESSION, wanted).one_or_none()
    if row is None:
        return None
    known = SessionKnown(
        is_one_time=row.is_one_time,
        is_complete=row.rank == SESSION_RANK["complete"] or row.state == "complete",
        is_expired=row.rank == SESSION_RANK["expired"] or row.state == "expired",
        has_failed=row.has_failed is True,
        payment_status=row.payment_status,
        tokens=row.tokens or 0,
        subscription_id=row.subscription_id,
        subscription_status=row.subscription_status,
    )
    return Session(row.purchase_id, row.plan_id, known)


def may_ask(connection: Connection, purchase_id: str, *, every_seconds: float) -> bool:
    """Whether Stripe was not asked of this session for so long; if so, it counts as asked now."""
    wanted = {"id": purchase_id, "seconds": every_seconds}
    return connection.execute(_ASK, wanted).rowcount == 1


# The session's own payment counts, or for a subscription the invoice that started it; either only
# once it is known to be this user's, because only then the tokens are theirs.
_SESSION = text(
    """
    WITH own AS (
        SELECT purchases.id AS purchase_id, purchases.plan_id, purchases.state,
               purchases.session_id, purchases.mode = 'payment' AS is_one_time
        FROM purchases
        WHERE purchases.session_id = :session_id AND purchases.user_id = :user_id
        UNION ALL
        SELECT NULL, CAST(payments.facts #>> '{session,plan_id}' AS integer), NULL, payments.id,
               CAST(payments.facts #>> '{session,one_time}' AS boolean)
        FROM payments LEFT JOIN customers ON customers.id = payments.customer_id
        WHERE payments.id = :session_id AND payments.kind = 'session'
          AND payments.facts -> 'session' IS NOT NULL
          AND coalesce(payments.facts #>> '{claim,3}', customers.user_id) = :user_id
          AND NOT EXISTS (SELECT 1 FROM purchases WHERE session_id = :session_id)
    )
    SELECT own.purchase_id, own.plan_id, own.state, own.is_one_time,
           CAST(session.facts #>> '{session,rank}' AS integer) AS rank,
           CAST(session.facts #>> '{session,failed}' AS boolean) AS has_failed,
           paid.status AS payment_status, paid.tokens,
           session.subscription_id, subscriptions.status AS subscription_status
    FROM own
    LEFT JOIN payments AS session ON session.id = own.session_id
    LEFT JOIN subscriptions ON subscriptions.id = session.subscription_id
    LEFT JOIN LATERAL (
        SELECT payment.status, payment.tokens
        FROM payments AS payment
        WHERE payment.user_id = :user_id AND payment.listed
          AND CASE WHEN own.is_one_time THEN payment.id = session.root_id
              ELSE payment.subscription_id = session.subscription_id
                   AND payment.kind = 'invoice' END
        ORDER BY CAST(payment.facts #>> '{invoice,starts}' AS boolean) DESC NULLS LAST,
                 payment.created_at, payment.id
        LIMIT 1
    ) AS paid ON true
    """
)
_ASK = text(
    "UPDATE purchases SET asked_at = clock_timestamp() WHERE id = :id"
    " AND coalesce(asked_at < clock_timestamp() - make_interval(secs => :seconds), true)"
)
