"""Everything that is kept about one user, read in one snapshot: what `explain` tells of."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

import db.ledger.catalogue
from db.ledger import unit_of_work
from domain.catalogue.plans import Catalogue
from domain.working_set import Touched, WorkingSet


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows and facts about one user.

    `working_set` holds the user's payments with all their objects, refunds and disputes, and the
    customers and plans they name. `customer_ids` and `subscription_ids` are the user's at Stripe;
    `disputed_customers` maps those claimed for the user in vain to their owner. `balance` is None
    where there is no account. `events` are by Stripe's clock, with bodies; `entries` by id.
    """

    user_id: str
    customer_ids: Collection[str]
    subscription_ids: Collection[str]
    disputed_customers: dict[str, str]
    working_set: WorkingSet
    events: Sequence[Row[Any]]
    entries: Sequence[Row[Any]]
    balance: int | None
    catalogue: Catalogue

    @property
    def is_unknown(self) -> bool:
        """Whether nothing at all is kept."""
        return not (
            self.events
            or self.entries
            or self.customer_ids
            or self.disputed_customers
            or self.working_set.objects
            or self.subscription_ids
            or self.balance is not None
        )


def kept_about(connection: Connection, user_id: str) -> Kept:
    """Read all of it; give a transaction at REPEATABLE READ, so that it fits together."""
    wanted = {"user": user_id}
    claims = connection.execute(_CUSTOMERS, wanted).all()
    own = [row.id for row in claims if row.user_id == user_id]
    entries = connection.execute(_ENTRIES, wanted).all()
    rows = connection.execute(_SUBSCRIPTIONS, wanted | {"customers": own})
    subscriptions = [row.id for row in rows]
    working_set = _working_set(connection, user_id, own, subscriptions)
    ids = {
        *working_set.objects,
        *working_set.refunds,
        *working_set.disputes,
        *working_set.credit_notes,
        *subscriptions,
    }
    named = {"ids": list(ids), "customers": own}
    causes = [row.event_id for row in entries if row.event_id]
    events = connection.execute(_EVENTS, {**wanted, **named, "causes": causes}).all()
    return Kept(
        user_id=user_id,
        customer_ids=own,
        subscription_ids=subscriptions,
        disputed_customers={row.id: row.user_id for row in claims if row.user_id != user_id},
        working_set=working_set,
        events=events,
        entries=entries,
        balance=connection.execute(_BALANCE, wanted).scalar_one_or_none(),
        catalogue=db.ledger.catalogue.load(connection),
    )


def _working_set(
    connection: Connection, user_id: str, own: Sequence[str], subscriptions: Sequence[str]
) -> WorkingSet:
    """The pipeline's own working set, loaded as if everything of this user had been touched."""
    touched = Touched(
        objects={row.id: None for row in connection.execute(_OBJECTS, {"user": user_id})},
        owners=dict.fromkeys(own),
        plans=dict.fromkeys(subscriptions),
    )
    return unit_of_work.loaded(connection, own, touched)


_CUSTOMERS = text(
    "SELECT id, user_id FROM customers"
    " WHERE user_id = :user OR other_user_ids @> to_jsonb(CAST(:user AS text))"
)
_SUBSCRIPTIONS = text(
    "SELECT id FROM subscriptions"
    " WHERE user_id = :user OR customer_id = ANY(CAST(:customers AS text[]))"
)
_OBJECTS = text(
    """
    SELECT id FROM payments WHERE listed AND user_id = :user
    UNION SELECT payment_id FROM ledger_entries WHERE user_id = :user AND payment_id IS NOT NULL
    UNION SELECT object_id FROM webhook_events WHERE user_id = :user AND object_id IS NOT NULL
    """
)
_ENTRIES = text(
    "SELECT id, delta, kind, balance_after, payment_id, NULLIF(event_id, '') AS event_id, reason,"
    " idempotency_key, created_at FROM ledger_entries WHERE user_id = :user ORDER BY id"
)
_BALANCE = text("SELECT balance FROM token_accounts WHERE user_id = :user")
_EVENTS = text(
    """
    SELECT id, type, status, created_at, body, note, error
    FROM webhook_events
    WHERE user_id = :user
       OR object_id = ANY(CAST(:ids AS text[]))
       OR customer_id = ANY(CAST(:customers AS text[]))
       OR id = ANY(CAST(:causes AS text[]))
    ORDER BY created_at, received_at, id
    """
)
