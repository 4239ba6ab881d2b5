"""The tables that events alone decide: what an audit compares and a rebuild writes anew.

A new table of facts is one entry here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Table

from db import tables

# When a row was written last is told by no event.
_UNTOLD = frozenset({"updated_at"})


@dataclass(frozen=True, slots=True)
class FactTable:
    """One table, keyed by `id`.

    `compared` are the columns whose differences people are shown, `sources` those from which the
    compared ones are derived and which nobody could read: a rebuild looks at both. `links` are
    those that name a money object which must be derived with the row. `facts` are the columns that
    are no derivation from others (empty means all), `first` those that only a new row is given:
    from then on the pipeline moves them.
    """

    table: Table
    compared: Sequence[str]
    sources: Sequence[str] = ()
    links: Sequence[str] = ()
    facts: Sequence[str] = ()
    first: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The table's name in the database."""
        return self.table.name

    @property
    def columns(self) -> Sequence[str]:
        """Every column that events decide."""
        return [column.name for column in self.table.columns if column.name not in _UNTOLD]

    @property
    def written(self) -> Sequence[str]:
        """The columns that a rebuild writes itself; the pipeline derives the others from them."""
        return self.facts or self.columns

    @property
    def payer(self) -> str | None:
        """The column that names the customer whose row this is, where there is one."""
        if self.table is tables.customers:
            return "id"
        return "customer_id" if "customer_id" in self.table.columns else None

    @property
    def touched(self) -> str | None:
        """The column that says when a row was written last, where there is one."""
        return next((name for name in _UNTOLD if name in self.table.columns), None)


CUSTOMERS = FactTable(
    tables.customers,
    (
        *("user_id", "claimed_created", "claimed_event_id", "other_user_ids", "deleted_at"),
        "alias_ids",
    ),
)
# Without what only the worth of payments is derived from.
_ITEMS = (
    "(SELECT jsonb_agg(item - CAST('{metered,unit_amount,currency}' AS text[]) ORDER BY place)"
    " FROM jsonb_array_elements(items) WITH ORDINALITY AS listed (item, place)) AS items"
)
SUBSCRIPTIONS = FactTable(
    tables.subscriptions,
    (
        *("customer_id", "user_id", "claimed_plan_id", "claimed_plan_created"),
        *("claimed_plan_event_id", "status", _ITEMS, "cancel_at_period_end", "cancel_at"),
        *("canceled_at", "trial_end", "started_at", "pause_collection", "undecided"),
        *("status_since", "paused_since"),
        "coalesce(named_plan_id, claimed_plan_id) AS named_plan_id",
        "coalesce(named_plan_created, claimed_plan_created) AS named_plan_created",
    ),
    sources=("sold", "versions"),
)
PAYMENTS = FactTable(
    tables.payments,
    (
        *("kind", "root_id", "customer_id", "subscription_id", "listed", "user_id", "status"),
        *("currency", "amount_minor", "refunded_minor", "disputed_minor", "plan_id"),
        *("plan_version", "tokens", "lacks_user", "lacks_plan", "receipt_url", "created_at"),
        *("credited_minor", "note", "loose_ends", "question", "question_subject", "packages"),
    ),
    sources=("facts",),
    links=("root_id",),
    facts=("id", "kind", "root_id", "customer_id", "subscription_id", "facts", "created_at"),
    first=("root_id",),
)
REFUNDS = FactTable(
    tables.refunds,
    ("target_id", "status", "amount_minor", "failed_created"),
    links=("target_id",),
)
DISPUTES = FactTable(
    tables.disputes,
    ("target_id", "status", "status_created", "amount_minor", "funds", "funds_created", "currency"),
    links=("target_id",),
)
CREDIT_NOTES = FactTable(
    tables.credit_notes,
    ("target_id", "amount_minor", "is_void", "refunds"),
    links=("target_id",),
)

# In the order in which a rebuild writes them: owners and plans before what depends on them.
FACT_TABLES: Sequence[FactTable] = (
    CUSTOMERS,
    SUBSCRIPTIONS,
    PAYMENTS,
    REFUNDS,
    DISPUTES,
    CREDIT_NOTES,
)
