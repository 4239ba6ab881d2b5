"""What hangs in the air: money without a user or a plan, money going back that takes from nothing.

Each kind is counted for people (`doctor`, `events`) and for Prometheus; none takes effect or is
forgotten by being shown.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from domain.payments.derivation import LooseEnd

# Every kind there is, with what is said of so many of them.
WORDS: Mapping[str, str] = {
    "no_user": "payments belong to no user yet",
    "no_plan": "payments have a part that no plan gives a worth to",
    LooseEnd.MONEY_BACK: "refunds, disputes or credit notes take from no payment that we know",
    LooseEnd.UNCLAIMED_INTENT: "intents collected money that no payment claims",
    LooseEnd.CUT_LIST: "invoices wait for Stripe to be asked for all of their lines",
    LooseEnd.CREDIT_NOTES: "invoices have more credit notes than were reported",
    "undecided_subscription": "subscriptions wait for Stripe to be asked for their state",
    "contested_customer": "customers were claimed for a second user",
}


def counts(connection: Connection) -> dict[str, int]:
    """How many there are of each kind; a kind of which there is none is 0."""
    numbers = {row.kind: row.number for row in connection.execute(_COUNTS)}
    return {str(kind): numbers.get(kind, 0) for kind in WORDS}


# Each part reads a partial index that holds loose ends only.
_COUNTS = text(
    """
    SELECT 'no_user' AS kind, count(*) AS number FROM payments
    WHERE (lacks_user OR lacks_plan) AND lacks_user AND status NOT IN ('pending', 'failed')
    UNION ALL
    SELECT 'no_plan', count(*) FROM payments
    WHERE (lacks_user OR lacks_plan) AND lacks_plan AND listed
      AND status NOT IN ('pending', 'failed')
    UNION ALL
    SELECT loose_end, count(*)
    FROM payments, jsonb_array_elements_text(loose_ends) AS loose_end
    WHERE loose_ends IS NOT NULL GROUP BY loose_end
    UNION ALL
    SELECT 'undecided_subscription', count(*) FROM subscriptions WHERE undecided
    UNION ALL
    SELECT 'contested_customer', count(*) FROM customers WHERE other_user_ids <> '[]'
    """
)
