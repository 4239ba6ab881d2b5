"""What must be known before something is sold: the offer, what the buyer has, whose customer.

Nothing here writes.
"""

from sqlalchemy import Connection, text

from db import queries
from domain.checkout.order import LIVE_STATUSES, PlanOnSale

# More subscriptions than anyone has; it bounds what is read.
_SUBSCRIPTIONS_MAX = 200


def offer(connection: Connection, plan_type: str, plan_id: int) -> PlanOnSale | None:
    """The plan as it is sold now; None when there is none of that type, or it is not on sale."""
    row = connection.execute(_OFFER, {"plan_type": plan_type, "plan_id": plan_id}).one_or_none()
    if row is None:
        return None
    return PlanOnSale(
        plan_id=row.id,
        version=row.version,
        type=row.type,
        name=row.name,
        interval=row.interval,
        interval_count=row.interval_count,
        trial_days=row.trial_days,
        prices=row.prices,
        price_ids=row.price_ids,
    )


def has_full_plan(connection: Connection, user_id: str) -> bool:
    """Whether a subscription to a full plan binds the user, or one that was paid is on its way."""
    full = set(connection.execute(_FULL_PLANS).scalars())
    live = any(
        subscription.status in LIVE_STATUSES
        and any(item.plan_id in full for item in subscription.items)
        for subscription in _subscriptions(connection, user_id)
    )
    return live or connection.execute(_ON_ITS_WAY, {"user_id": user_id}).first() is not None


def had_plan(connection: Connection, user_id: str, plan_id: int) -> bool:
    """Whether the user ever had a subscription to this plan, ended ones too."""
    return any(
        item.plan_id == plan_id
        for subscription in _subscriptions(connection, user_id)
        for item in subscription.items
    )


def recurring_currency(connection: Connection, user_id: str) -> str | None:
    """The currency that a user pays subscriptions in; Stripe takes no second one beside it."""
    customer_id = customer(connection, user_id)
    live = [subscription.id for subscription in _live(connection, user_id, customer_id)]
    currency: str | None = connection.execute(_CURRENCY, {"ids": live}).scalar()
    return currency


def buyer_currency(connection: Connection, user_id: str) -> str | None:
    """What a user pays in: that of what renews, else of their newest payment; None if unknown."""
    known = {"user_id": user_id, "live": sorted(LIVE_STATUSES)}
    currency: str | None = connection.execute(_BUYER_CURRENCY, known).scalar()
    return currency


def subscription(
    connection: Connection, user_id: str, subscription_id: str
) -> queries.Subscription | None:
    """The subscription of the user that is named."""
    own = _subscriptions(connection, user_id)
    return next((candidate for candidate in own if candidate.id == subscription_id), None)


def live_subscription(
    connection: Connection, user_id: str, customer_id: str
) -> queries.Subscription | None:
    """The newest subscription of the user that has not ended and that this customer pays."""
    return next(iter(_live(connection, user_id, customer_id)), None)


def customer(
    connection: Connection, user_id: str, subscription_id: str | None = None
) -> str | None:
    """The Stripe customer that a user pays as, if there is one.

    That of the user's subscription where one is named; else the one that we made for the user;
    else the one that was linked to the user first. Whoever follows a payment link may name any
    user in its address, so a link that such a session claims comes after all others. Deleted
    customers are left out, and those that Stripe said it does not know.
    """
    wanted = {"user_id": user_id, "subscription_id": subscription_id}
    customer_id: str | None = connection.execute(_CUSTOMER, wanted).scalar()
    return customer_id


def has_bought(connection: Connection, user_id: str) -> bool:
    """Whether anything was ever sold to the user, at whichever Stripe account."""
    return connection.execute(_SOLD, {"user_id": user_id}).first() is not None


def was_unknown(connection: Connection, user_id: str) -> bool:
    """Whether Stripe ever said of a customer of the user's that it does not know it."""
    return connection.execute(_MISSING, {"user_id": user_id}).first() is not None


def _live(
    connection: Connection, user_id: str, customer_id: str | None
) -> list[queries.Subscription]:
    paid = set(connection.execute(_PAID_BY, {"customer_id": customer_id}).scalars())
    return [
        subscription
        for subscription in _subscriptions(connection, user_id)
        if subscription.id in paid and subscription.status in LIVE_STATUSES
    ]


def _subscriptions(connection: Connection, user_id: str) -> list[queries.Subscription]:
    return queries.subscriptions(connection, user_id, limit=_SUBSCRIPTIONS_MAX)


_OFFER = text(
    """
    SELECT plans.id, plans.version, plans.type, plans.name, plans.interval,
           plans.interval_count, plans.trial_days,
           (SELECT coalesce(jsonb_object_agg(prices.currency, prices.amount_minor), '{}')
            FROM plan_prices AS prices
            WHERE prices.plan_id = plans.id AND prices.version = plans.version
              AND prices.on_sale) AS prices,
           (SELECT coalesce(jsonb_object_agg(bound.currency, bound.id), '{}')
            FROM stripe_prices AS bound
            WHERE bound.plan_id = plans.id AND bound.version = plans.version
              AND bound.is_current) AS price_ids
    FROM plans
    WHERE plans.id = :plan_id AND plans.type = :plan_type AND plans.is_current AND plans.active
    """
)
_CURRENCY = text(
    """
    SELECT currency FROM payments
    WHERE subscription_id = ANY(:ids) AND listed AND currency IS NOT NULL
    ORDER BY created_at DESC NULLS LAST, id
    LIMIT 1
    """
)
_BUYER_CURRENCY = text(
    """
    SELECT payments.currency
    FROM payments LEFT JOIN subscriptions ON subscriptions.id = payments.subscription_id
    WHERE payments.listed AND payments.user_id = :user_id AND payments.currency IS NOT NULL
    ORDER BY coalesce(subscriptions.status = ANY(:live), false) DESC,
             payments.created_at DESC NULLS LAST, payments.id
    LIMIT 1
    """
)
_FULL_PLANS = text("SELECT id FROM plans WHERE is_current AND type = 'full'")
# Stripe said that the session was paid; the events that tell of its subscription are not applied.
_ON_ITS_WAY = text(
    """
    SELECT 1
    FROM purchases
    JOIN plans ON plans.id = purchases.plan_id AND plans.version = purchases.plan_version
    LEFT JOIN payments ON payments.id = purchases.session_id
    LEFT JOIN subscriptions ON subscriptions.id = payments.subscription_id
    WHERE purchases.user_id = :user_id AND purchases.state = 'complete' AND plans.type = 'full'
      AND purchases.created_at > now() - interval '2 days' AND subscriptions.status IS NULL
    LIMIT 1
    """
)
_SOLD = text(
    """
    SELECT 1 WHERE EXISTS (SELECT 1 FROM payments WHERE user_id = :user_id AND listed)
        OR EXISTS (
            SELECT 1 FROM subscriptions
            LEFT JOIN customers ON customers.id = subscriptions.customer_id
            WHERE subscriptions.status IS NOT NULL
              AND coalesce(subscriptions.user_id, customers.user_id) = :user_id
        )
    """
)
_MISSING = text("SELECT 1 FROM buyers WHERE user_id = :user_id AND missing_customer_ids <> '[]'")
_PAID_BY = text("SELECT id FROM subscriptions WHERE customer_id = :customer_id")
_CUSTOMER = text(
    """
    SELECT candidates.id
    FROM (
        SELECT customers.id FROM customers WHERE customers.user_id = :user_id
        UNION
        SELECT buyers.customer_id FROM buyers
        WHERE buyers.user_id = :user_id AND buyers.customer_id IS NOT NULL
        UNION
        SELECT subscriptions.customer_id FROM subscriptions
        WHERE subscriptions.id = :subscription_id AND subscriptions.customer_id IS NOT NULL
    ) AS candidates
    LEFT JOIN customers ON customers.id = candidates.id
    LEFT JOIN buyers ON buyers.user_id = :user_id
    LEFT JOIN subscriptions ON subscriptions.id = :subscription_id
    LEFT JOIN webhook_events AS claim ON claim.id = customers.claimed_event_id
        AND claim.type LIKE '%checkout.session.%'
        AND NOT EXISTS (SELECT 1 FROM purchases WHERE session_id = claim.object_id)
    WHERE customers.deleted_at IS NULL
      -- Another name of a payer (`customer_account`) is no customer to sell to.
      AND NOT starts_with(candidates.id, 'acct_')
      AND coalesce(customers.user_id, :user_id) = :user_id
      AND NOT coalesce(buyers.missing_customer_ids @> to_jsonb(candidates.id), false)
    ORDER BY candidates.id = subscriptions.customer_id DESC NULLS LAST,
             candidates.id = buyers.customer_id DESC NULLS LAST,
             claim.id IS NOT NULL, customers.claimed_created NULLS LAST,
             customers.claimed_event_id, candidates.id
    LIMIT 1
    """
)
