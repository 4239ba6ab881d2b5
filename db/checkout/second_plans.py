"""Users who pay for two full plans at once: checkout prevents it, other ways of buying do not."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from domain.checkout.order import LIVE_STATUSES


@dataclass(frozen=True, slots=True)
class SecondPlan:
    """A user and all subscriptions to full plans that bind them, the oldest first."""

    user_id: str
    subscription_ids: tuple[str, ...]


def second_plans(connection: Connection) -> list[SecondPlan]:
    """Every user with more than one live subscription to a full plan, by user."""
    rows = connection.execute(_SECOND_PLANS, {"live": sorted(LIVE_STATUSES)})
    return [SecondPlan(row.user_id, tuple(row.ids)) for row in rows]


# A plan that is claimed counts where no item is known by its price.
_SECOND_PLANS = text(
    """
    WITH live AS (
        SELECT subscriptions.id, subscriptions.items,
               coalesce(subscriptions.named_plan_id, subscriptions.claimed_plan_id)
                   AS claimed_plan_id,
               subscriptions.started_at,
               coalesce(subscriptions.user_id, customers.user_id) AS user_id
        FROM subscriptions LEFT JOIN customers ON customers.id = subscriptions.customer_id
        WHERE subscriptions.status = ANY(:live)
    ), doubtful AS (
        SELECT live.*, count(*) OVER (PARTITION BY live.user_id) AS number
        FROM live WHERE live.user_id IS NOT NULL
    ), bound AS (
        SELECT doubtful.*,
               ARRAY(SELECT stripe_prices.plan_id
                     FROM jsonb_array_elements(doubtful.items) AS item
                     JOIN stripe_prices ON stripe_prices.id = item ->> 'price_id') AS priced
        FROM doubtful WHERE number > 1
    )
    SELECT bound.user_id, array_agg(bound.id ORDER BY bound.started_at, bound.id) AS ids
    FROM bound
    WHERE EXISTS (
        SELECT 1 FROM plans
        WHERE plans.is_current AND plans.type = 'full'
          AND (plans.id = ANY(bound.priced)
               OR bound.priced = '{}' AND plans.id = bound.claimed_plan_id)
    )
    GROUP BY bound.user_id
    HAVING count(*) > 1
    ORDER BY bound.user_id
    """
)
