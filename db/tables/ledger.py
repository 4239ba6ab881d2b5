"""The ledger's tables: who pays, what was paid and taken back, and the tokens of it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.tables.columns import metadata, time_column

customers = Table(
    "customers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text),
    Column("claimed_created", BigInteger),
    Column("claimed_event_id", Text),
    Column("other_user_ids", JSONB, nullable=False, server_default="[]"),
    time_column("deleted_at"),
    Column("alias_ids", JSONB, nullable=False, server_default="[]"),
    CheckConstraint(
        "(user_id IS NULL) = (claimed_created IS NULL)"
        " AND (user_id IS NULL) = (claimed_event_id IS NULL)",
        name="customers_claim_whole",
    ),
    Index("customers_user_id", "user_id"),
    Index("customers_contested", "id", postgresql_where=text("other_user_ids <> '[]'")),
    comment="Stripe customers and the user the earliest event claimed them for.",
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("customer_id", Text),
    Column("user_id", Text),
    Column("claimed_plan_id", Integer),
    Column("claimed_plan_created", BigInteger),
    Column("claimed_plan_event_id", Text),
    Column("named_plan_id", Integer),
    Column("named_plan_created", BigInteger),
    Column("sold", JSONB, nullable=False, server_default="{}"),
    Column("status", Text),
    Column("items", JSONB, nullable=False, server_default="[]"),
    Column("cancel_at_period_end", Boolean, nullable=False, server_default="false"),
    time_column("cancel_at"),
    time_column("canceled_at"),
    time_column("trial_end"),
    time_column("started_at"),
    Column("pause_collection", JSONB),
    Column("versions", LargeBinary),
    Column("undecided", Boolean, nullable=False, server_default="false"),
    time_column("updated_at", nullable=False, default_now=True),
    time_column("status_since"),
    time_column("paused_since"),
    Index("subscriptions_customer_id", "customer_id"),
    Index("subscriptions_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    Index("subscriptions_undecided", "id", postgresql_where=text("undecided")),
    comment="The newest state Stripe reported of each subscription.",
)

payments = Table(
    "payments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("root_id", Text, nullable=False),
    Column("customer_id", Text),
    Column("subscription_id", Text),
    Column("facts", JSONB, nullable=False),
    Column("listed", Boolean, nullable=False, server_default="false"),
    Column("user_id", Text),
    Column("status", Text),
    Column("currency", Text),
    Column("amount_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_minor", BigInteger, nullable=False, server_default="0"),
    Column("disputed_minor", BigInteger, nullable=False, server_default="0"),
    Column("plan_id", Integer),
    Column("plan_version", Integer),
    Column("tokens", BigInteger, nullable=False, server_default="0"),
    Column("lacks_user", Boolean, nullable=False, server_default="false"),
    Column("lacks_plan", Boolean, nullable=False, server_default="false"),
    Column("receipt_url", Text),
    Column("credited_minor", BigInteger, nullable=False, server_default="0"),
    Column("note", Text),
    Column("loose_ends", JSONB),
    Column("question", Text),
    Column("question_subject", Text),
    Column("packages", JSONB),
    time_column("created_at"),
    time_column("updated_at", nullable=False, default_now=True),
    CheckConstraint(
        "kind IN ('invoice', 'session', 'intent', 'charge', 'payment_record')",
        name="payments_kind_known",
    ),
    CheckConstraint(
        "status IN ('pending', 'paid', 'failed', 'refunded', 'partially_refunded', 'disputed')",
        name="payments_status_known",
    ),
    CheckConstraint("NOT listed OR (root_id = id AND status IS NOT NULL)", name="payments_listed"),
    CheckConstraint("root_id = id OR tokens = 0", name="payments_parts_are_worth_nothing"),
    CheckConstraint(
        "refunded_minor >= 0 AND disputed_minor >= 0", name="payments_taken_not_negative"
    ),
    Index("payments_root_id", "root_id"),
    Index("payments_customer_id", "customer_id"),
    Index("payments_subscription_id", "subscription_id"),
    Index("payments_user_id", "user_id", "created_at", postgresql_where=text("listed")),
    CheckConstraint(
        "question IN ('line_items', 'invoice_lines', 'payment_of')", name="payments_question_known"
    ),
    CheckConstraint(
        "(question IS NULL) = (question_subject IS NULL)", name="payments_question_has_a_subject"
    ),
    Index("payments_unlinked", "id", postgresql_where=text("lacks_user OR lacks_plan")),
    Index("payments_loose", "id", postgresql_where=text("loose_ends IS NOT NULL")),
    Index("payments_question", "question_subject", postgresql_where=text("question IS NOT NULL")),
    comment=(
        "Invoices, checkout sessions, payment intents and charges: what is known of each,"
        " which payment (root) it belongs to, and on the root what that payment stands for."
    ),
)

refunds = Table(
    "refunds",
    metadata,
    Column("id", Text, primary_key=True),
    Column("target_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("failed_created", BigInteger),
    CheckConstraint("amount_minor >= 0", name="refunds_not_negative"),
    Index("refunds_target_id", "target_id"),
    comment="Refunds by id; target_id is the payments row (intent or charge) they take from.",
)

disputes = Table(
    "disputes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("target_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_created", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("funds", Text, nullable=False),
    Column("funds_created", BigInteger, nullable=False),
    Column("currency", Text, nullable=False, server_default=""),
    CheckConstraint("amount_minor >= 0", name="disputes_not_negative"),
    CheckConstraint("funds IN ('untouched', 'withdrawn', 'reinstated')", name="disputes_funds"),
    Index("disputes_target_id", "target_id"),
    comment="Disputes by id; funds says where the money is, newest report first.",
)

credit_notes = Table(
    "credit_notes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("target_id", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("is_void", Boolean, nullable=False, server_default="false"),
    Column("refunds", JSONB, nullable=False, server_default="{}"),
    CheckConstraint("amount_minor >= 0", name="credit_notes_not_negative"),
    Index("credit_notes_target_id", "target_id"),
    comment="Credit notes by id; target_id is the invoice they lower, refunds what paid them out.",
)

token_accounts = Table(
    "token_accounts",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("balance", BigInteger, nullable=False),
    Column("last_grant", BigInteger),
    time_column("updated_at", nullable=False, default_now=True),
    comment="The sum of each user's ledger entries, kept in the same transaction.",
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("delta", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("payment_id", Text),
    Column("event_id", Text),
    Column("reason", Text, nullable=False),
    Column("idempotency_key", Text),
    time_column("created_at", nullable=False, default_now=True),
    CheckConstraint("delta <> 0", name="ledger_entries_move_something"),
    CheckConstraint(
        "kind IN ('grant', 'debit', 'reversal', 'restore', 'adjustment')",
        name="ledger_entries_kind_known",
    ),
    CheckConstraint(
        "CASE kind WHEN 'grant' THEN delta > 0 WHEN 'restore' THEN delta > 0"
        " WHEN 'reversal' THEN delta < 0 WHEN 'debit' THEN delta < 0 ELSE true END",
        name="ledger_entries_sign",
    ),
    CheckConstraint(
        "kind <> 'debit' OR (balance_after >= 0 AND idempotency_key IS NOT NULL)",
        name="ledger_entries_debit_is_covered",
    ),
    CheckConstraint(
        "kind NOT IN ('grant', 'reversal', 'restore') OR payment_id IS NOT NULL",
        name="ledger_entries_follow_money",
    ),
    # Entries older than this check may have it empty; they cannot be changed.
    CheckConstraint("event_id <> ''", name="ledger_entries_event_is_named"),
    Index("ledger_entries_user_id", "user_id", "id"),
    Index(
        "ledger_entries_payment_id", "payment_id", postgresql_where=text("payment_id IS NOT NULL")
    ),
    Index(
        "ledger_entries_of_adjustments",
        "event_id",
        postgresql_where=text("payment_id IS NULL AND event_id IS NOT NULL"),
    ),
    Index(
        "ledger_entries_idempotency_key",
        "user_id",
        "idempotency_key",
        unique=True,
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    comment="Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE.",
)
