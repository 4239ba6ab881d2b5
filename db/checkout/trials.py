"""Whether a user had a trial: begun through our checkout or elsewhere, told of in any order."""

from sqlalchemy import Connection, text

from domain.checkout.order import TRIAL_IN_PARAMS


def had(connection: Connection, user_id: str, plan_id: int | None = None) -> bool:
    """Whether a trial of the user ever began: of this plan, or without one of any."""
    return _exists(connection, user_id, plan_id, counts_open=False)


def had_or_open(connection: Connection, user_id: str, plan_id: int | None = None) -> bool:
    """The same, or whether one begins as soon as a session that is open is completed."""
    return _exists(connection, user_id, plan_id, counts_open=True)


def _exists(
    connection: Connection, user_id: str, plan_id: int | None, *, counts_open: bool
) -> bool:
    wanted = {"user_id": user_id, "plan_id": plan_id, "counts_open": counts_open}
    return bool(connection.execute(_HAD, wanted | {"trial": TRIAL_IN_PARAMS}).scalar_one())


# A subscription keeps its trial's end for good. It may have gone over to another plan since; then
# what it claims, or what it was paid for, still names the one that was tried.
_HAD = text(
    """
    WITH own AS (
        SELECT id FROM subscriptions WHERE user_id = :user_id
        UNION
        SELECT subscriptions.id
        FROM customers JOIN subscriptions ON subscriptions.customer_id = customers.id
        WHERE customers.user_id = :user_id AND subscriptions.user_id IS NULL
        UNION
        SELECT subscriptions.id
        FROM buyers JOIN subscriptions ON subscriptions.customer_id = buyers.customer_id
        WHERE buyers.user_id = :user_id AND subscriptions.user_id IS NULL
    )
    SELECT EXISTS (
        SELECT 1
        FROM own JOIN subscriptions AS tried USING (id)
        WHERE tried.trial_end IS NOT NULL AND tried.status IS DISTINCT FROM 'incomplete_expired'
          AND (CAST(:plan_id AS integer) IS NULL
               OR tried.claimed_plan_id = :plan_id
               OR EXISTS (SELECT 1 FROM payments
                          WHERE payments.subscription_id = tried.id
                            AND payments.plan_id = :plan_id)
               OR EXISTS (SELECT 1
                          FROM jsonb_array_elements(tried.items) AS item
                          JOIN stripe_prices ON stripe_prices.id = item ->> 'price_id'
                          WHERE stripe_prices.plan_id = :plan_id))
    ) OR EXISTS (
        SELECT 1
        FROM purchases
        WHERE user_id = :user_id AND params #> :trial IS NOT NULL
          AND (CAST(:plan_id AS integer) IS NULL OR plan_id = :plan_id)
          AND (state = 'complete'
               OR :counts_open AND state = 'open' AND session_id IS NOT NULL
                  AND coalesce(expires_at > now(), true))
    )
    """
)
