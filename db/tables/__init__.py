"""Every table, as SQLAlchemy Core sees it.

The migrations are what makes them; a test compares the two. Constraints hold the laws that a
single row can hold; the append-only law of the ledger is a trigger in the first migration.
"""

from db.tables.access import access_policies, access_states
from db.tables.catalogue import (
    catalogue_revision,
    plan_prices,
    plans,
    prices_without_tokens,
    stripe_prices,
)
from db.tables.checkout import (
    buyers,
    checkout_keys,
    purchases,
)
from db.tables.columns import metadata
from db.tables.endpoints import (
    endpoint_changes,
    own_endpoint,
    shadow_differences,
    shadow_events,
)
from db.tables.ledger import (
    credit_notes,
    customers,
    disputes,
    ledger_entries,
    payments,
    refunds,
    subscriptions,
    token_accounts,
)
from db.tables.outbox import (
    destination_resends,
    destination_users,
    destinations,
    outbox,
    outbox_users,
)
from db.tables.questions import (
    noticed_objects,
    notices,
    own_account,
    questions,
    stripe_turn,
)
from db.tables.queues import (
    event_attempts,
    paused_types,
    reconcile_progress,
    redis_seen,
    webhook_events,
)

__all__ = [
    "access_policies",
    "access_states",
    "buyers",
    "catalogue_revision",
    "checkout_keys",
    "credit_notes",
    "customers",
    "destination_resends",
    "destination_users",
    "destinations",
    "disputes",
    "endpoint_changes",
    "event_attempts",
    "ledger_entries",
    "metadata",
    "noticed_objects",
    "notices",
    "outbox",
    "outbox_users",
    "own_account",
    "own_endpoint",
    "paused_types",
    "payments",
    "plan_prices",
    "plans",
    "prices_without_tokens",
    "purchases",
    "questions",
    "reconcile_progress",
    "redis_seen",
    "refunds",
    "shadow_differences",
    "shadow_events",
    "stripe_prices",
    "stripe_turn",
    "subscriptions",
    "token_accounts",
    "webhook_events",
]
