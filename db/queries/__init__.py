"""What the read endpoints show: each query answers for one user, or for the catalogue.

Nothing here writes. Lists are read by keyset: give the position of the last row that was shown,
get the rows after it. Amounts are in minor units, times in UTC.
"""

from db.queries.account import Balance, LedgerEntry, Payment, balance, ledger, payments
from db.queries.plans_on_sale import Plan, plans
from db.queries.positions import TimedPosition
from db.queries.subscriptions_of_user import (
    Pause,
    ShownSubscription,
    Subscription,
    SubscriptionItem,
    subscription_shown,
    subscriptions,
    subscriptions_shown,
)

__all__ = [
    "Balance",
    "LedgerEntry",
    "Pause",
    "Payment",
    "Plan",
    "ShownSubscription",
    "Subscription",
    "SubscriptionItem",
    "TimedPosition",
    "balance",
    "ledger",
    "payments",
    "plans",
    "subscription_shown",
    "subscriptions",
    "subscriptions_shown",
]
