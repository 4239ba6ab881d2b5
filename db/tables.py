"""Every table, as SQLAlchemy Core sees it.

The migrations are what makes them; a test compares the two. Constraints hold the laws that a
single row can hold; the append-only law of the ledger is a trigger in the first migration.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

_NOW = text("now()")


def _time(name: str, *, nullable: bool = True, default_now: bool = False) -> Column[object]:
    """One point in time, UTC."""
    default = _NOW if default_now else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


webhook_events = Table(
    "webhook_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    _time("created_at", nullable=False),
    Column("status", Text, nullable=False),
    Column("object_id", Text),
    Column("customer_id", Text),
    Column("user_id", Text),
    Column("body", LargeBinary, nullable=False),
    Column("source", Text, nullable=False),
    _time("received_at", nullable=False, default_now=True),
    _time("applied_at"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("next_attempt_at"),
    Column("note", Text),
    Column("error", Text),
    CheckConstraint(
        "status IN ('received', 'applied', 'ignored', 'failed', 'dead')",
        name="webhook_events_status_known",
    ),
    CheckConstraint(
        "(status IN ('received', 'failed')) = (next_attempt_at IS NOT NULL)",
        name="webhook_events_waiting_has_a_time",
    ),
    Index(
        "webhook_events_due",
        "next_attempt_at",
        postgresql_where=text("status IN ('received', 'failed')"),
    ),
    Index(
        "webhook_events_unfinished",
        "status",
        postgresql_where=text("status IN ('received', 'failed', 'dead')"),
    ),
    Index("webhook_events_received_at", "received_at"),
    Index("webhook_events_object_id", "object_id"),
    Index("webhook_events_customer_id", "customer_id"),
    Index("webhook_events_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    comment="The inbox: every event Stripe sent, its body as signed (zstd), and what came of it.",
)

customers = Table(
    "customers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text),
    Column("claimed_created", BigInteger),
    Column("claimed_event_id", Text),
    Column("other_user_ids", JSONB, nullable=False, server_default="[]"),
    _time("deleted_at"),
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

plans = Table(
    "plans",
    metadata,
    Column("id", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("tokens", BigInteger, nullable=False),
    Column("interval", Text),
    Column("trial_days", Integer, nullable=False, server_default="0"),
    Column("trial_tokens", BigInteger, nullable=False, server_default="0"),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("is_current", Boolean, nullable=False, server_default="true"),
    Column("interval_count", Integer, nullable=False, server_default="1"),
    _time("effective_from", nullable=False, default_now=True),
    PrimaryKeyConstraint("id", "version"),
    CheckConstraint("type IN ('full', 'token')", name="plans_type_known"),
    CheckConstraint("interval IN ('day', 'week', 'month', 'year')", name="plans_interval_known"),
    CheckConstraint(
        "interval_count >= 1 AND (interval IS NOT NULL OR interval_count = 1)",
        name="plans_interval_counted",
    ),
    CheckConstraint("type = 'token' OR interval IS NOT NULL", name="plans_full_recurs"),
    CheckConstraint(
        "tokens >= 0 AND trial_tokens >= 0 AND trial_days >= 0", name="plans_not_negative"
    ),
    Index("plans_one_current", "id", unique=True, postgresql_where=text("is_current")),
    comment="The catalogue; changed terms make a new version, what was sold keeps its own.",
)

prices_without_tokens = Table(
    "prices_without_tokens",
    metadata,
    Column("price_id", Text, primary_key=True),
    CheckConstraint("price_id <> ''", name="prices_without_tokens_named"),
    comment="Stripe price ids of other things that are sold: setup fees, use beyond a plan's.",
)

catalogue_revision = Table(
    "catalogue_revision",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("only_row", name="catalogue_revision_one_row"),
    comment="Counts changes of the catalogue, so a worker knows when to read it again.",
)

plan_prices = Table(
    "plan_prices",
    metadata,
    Column("plan_id", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("on_sale", Boolean, nullable=False, server_default="true"),
    PrimaryKeyConstraint("plan_id", "version", "currency"),
    ForeignKeyConstraint(["plan_id", "version"], ["plans.id", "plans.version"]),
    CheckConstraint("amount_minor >= 0", name="plan_prices_not_negative"),
    CheckConstraint("currency ~ '^[a-z]{3}$'", name="plan_prices_currency_code"),
    comment="What one unit of a plan version costs, by currency, in minor units.",
)

stripe_prices = Table(
    "stripe_prices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("plan_id", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("is_current", Boolean, nullable=False, server_default="true"),
    ForeignKeyConstraint(
        ["plan_id", "version", "currency"],
        ["plan_prices.plan_id", "plan_prices.version", "plan_prices.currency"],
    ),
    Index(
        "stripe_prices_one_current",
        "plan_id",
        "version",
        "currency",
        unique=True,
        postgresql_where=text("is_current"),
    ),
    comment="Stripe price ids, each bound for ever to the terms of one plan version.",
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
    _time("cancel_at"),
    _time("canceled_at"),
    _time("trial_end"),
    _time("started_at"),
    Column("pause_collection", JSONB),
    Column("versions", LargeBinary),
    Column("undecided", Boolean, nullable=False, server_default="false"),
    _time("updated_at", nullable=False, default_now=True),
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
    _time("created_at"),
    _time("updated_at", nullable=False, default_now=True),
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
    _time("updated_at", nullable=False, default_now=True),
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
    _time("created_at", nullable=False, default_now=True),
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

event_attempts = Table(
    "event_attempts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("cause", Text, nullable=False),
    Column("asked_by", Text),
    Column("reason", Text),
    Column("status", Text, nullable=False),
    Column("error", Text),
    Column("traceback", Text),
    CheckConstraint(
        "cause IN ('delivery', 'retry', 'replay', 'reconcile')", name="event_attempts_cause_known"
    ),
    CheckConstraint(
        "cause <> 'replay' OR asked_by IS NOT NULL", name="event_attempts_replays_are_asked_for"
    ),
    Index("event_attempts_event_id", "event_id", "id"),
    comment=(
        "Every try at an event that failed, was repeated or was asked for;"
        " a first success leaves no row."
    ),
)

paused_types = Table(
    "paused_types",
    metadata,
    Column("type", Text, primary_key=True),
    _time("paused_at", nullable=False, default_now=True),
    Column("paused_by", Text, nullable=False),
    Column("reason", Text),
    comment="Event types whose events wait in the inbox until a person resumes them.",
)

reconcile_progress = Table(
    "reconcile_progress",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("reached_created", BigInteger),
    Column("walk_from", BigInteger),
    Column("walk_top", BigInteger),
    Column("walk_after", Text),
    _time("moved_at", nullable=False, default_now=True),
    CheckConstraint("only_row", name="reconcile_progress_one_row"),
    CheckConstraint(
        "(walk_from IS NULL) = (walk_top IS NULL) AND (walk_from IS NULL) = (walk_after IS NULL)",
        name="reconcile_progress_walk_whole",
    ),
    comment=(
        "Up to which of its seconds Stripe's event list has been read without a gap,"
        " and where an unfinished reading stands."
    ),
)

questions = Table(
    "questions",
    metadata,
    Column("kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("asks", Integer, nullable=False, server_default="0"),
    Column("silences", Integer, nullable=False, server_default="0"),
    _time("last_asked_at", nullable=False),
    _time("next_ask_at", nullable=False),
    Column("last_answer", Text),
    _time("given_up_at"),
    PrimaryKeyConstraint("kind", "subject_id"),
    CheckConstraint(
        "kind IN ('line_items', 'invoice_lines', 'payment_of', 'subscription')",
        name="questions_kind_known",
    ),
    CheckConstraint("asks >= 0 AND silences >= 0", name="questions_not_negative"),
    CheckConstraint(
        "given_up_at IS NULL OR last_answer IS NOT NULL", name="questions_given_up_say_why"
    ),
    Index("questions_due", "next_ask_at", postgresql_where=text("given_up_at IS NULL")),
    comment=(
        "What Stripe was asked of late and how often; what is to be asked is said by payments and"
        " subscriptions themselves. A row that they no longer call for is dropped."
    ),
)

stripe_turn = Table(
    "stripe_turn",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("holder", Text),
    _time("held_until"),
    Column("failures", Integer, nullable=False, server_default="0"),
    _time("failing_since"),
    _time("pause_until"),
    Column("waiting", Text),
    CheckConstraint("only_row", name="stripe_turn_one_row"),
    CheckConstraint("(holder IS NULL) = (held_until IS NULL)", name="stripe_turn_runs_out"),
    CheckConstraint("failures >= 0", name="stripe_turn_not_negative"),
    CheckConstraint(
        "(failures = 0) = (failing_since IS NULL)", name="stripe_turn_failing_since_a_time"
    ),
    CheckConstraint(
        "waiting IN ('after_outage', 'tick', 'goes_on')", name="stripe_turn_waiting_known"
    ),
    comment=(
        "Whose turn it is to ask Stripe, of all workers together, so that a Stripe that hangs"
        " holds up one process; how it answered of late; a reading of its list that waits."
    ),
)

own_account = Table(
    "own_account",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("key_hash", Text, nullable=False),
    Column("account_id", Text),
    _time("asked_at", nullable=False, default_now=True),
    CheckConstraint("only_row", name="own_account_one_row"),
    CheckConstraint("key_hash ~ '^[0-9a-f]{64}$'", name="own_account_key_is_a_hash"),
    comment=(
        "The Stripe account of the configured key, which is kept as a hash;"
        " account_id is NULL where Stripe did not say."
    ),
)

buyers = Table(
    "buyers",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("customer_id", Text),
    Column("missing_customer_ids", JSONB, nullable=False, server_default="[]"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("claim_id", Text),
    _time("claimed_until"),
    CheckConstraint("attempt >= 0", name="buyers_attempt_not_negative"),
    CheckConstraint("(claim_id IS NULL) = (claimed_until IS NULL)", name="buyers_claims_run_out"),
    CheckConstraint(
        "jsonb_typeof(missing_customer_ids) = 'array'", name="buyers_missing_is_a_list"
    ),
    Index(
        "buyers_customer_id",
        "customer_id",
        unique=True,
        postgresql_where=text("customer_id IS NOT NULL"),
    ),
    comment=(
        "Users who buy through us: the Stripe customer made for each, and the claim that lets"
        " one request at a time ask Stripe on a user's behalf."
    ),
)

purchases = Table(
    "purchases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("plan_id", Integer, nullable=False),
    Column("plan_version", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("mode", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("session_id", Text),
    Column("url", Text),
    _time("expires_at"),
    _time("asked_at"),
    _time("created_at", nullable=False, default_now=True),
    Column("expire_tries", Integer, nullable=False, server_default="0"),
    _time("expire_after"),
    CheckConstraint("id ~ '^[0-9a-f]{32}$'", name="purchases_id_is_ours"),
    CheckConstraint("fingerprint ~ '^[0-9a-f]{64}$'", name="purchases_fingerprint_is_a_hash"),
    CheckConstraint("currency ~ '^[a-z]{3}$'", name="purchases_currency_code"),
    CheckConstraint("amount_minor >= 0", name="purchases_not_negative"),
    CheckConstraint("mode IN ('payment', 'subscription')", name="purchases_mode_known"),
    CheckConstraint(
        "state IN ('open', 'complete', 'expired', 'refused', 'lost')", name="purchases_state_known"
    ),
    CheckConstraint(
        "session_id IS NOT NULL OR (url IS NULL AND expires_at IS NULL AND asked_at IS NULL)",
        name="purchases_address_is_of_a_session",
    ),
    CheckConstraint(
        "state NOT IN ('complete', 'expired') OR session_id IS NOT NULL",
        name="purchases_end_with_a_session",
    ),
    CheckConstraint(
        "state <> 'open' OR (session_id IS NULL) = (url IS NULL)",
        name="purchases_open_can_be_paid",
    ),
    Index(
        "purchases_session_id",
        "session_id",
        unique=True,
        postgresql_where=text("session_id IS NOT NULL"),
    ),
    Index(
        "purchases_one_open",
        "user_id",
        "fingerprint",
        unique=True,
        postgresql_where=text("state = 'open'"),
    ),
    CheckConstraint("expire_tries >= 0", name="purchases_expire_tries_not_negative"),
    Index("purchases_user_id", "user_id", "created_at"),
    Index(
        "purchases_payable",
        "expires_at",
        postgresql_where=text("state = 'open' AND session_id IS NOT NULL"),
    ),
    comment=(
        "What users set out to buy: written, with what Stripe is asked for, before it is asked;"
        " the checkout session after."
    ),
)

checkout_keys = Table(
    "checkout_keys",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("purchase_id", Text, nullable=False),
    _time("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("user_id", "idempotency_key"),
    ForeignKeyConstraint(["purchase_id"], ["purchases.id"]),
    CheckConstraint("length(idempotency_key) BETWEEN 1 AND 255", name="checkout_keys_length"),
    CheckConstraint("request_hash ~ '^[0-9a-f]{64}$'", name="checkout_keys_request_is_a_hash"),
    Index("checkout_keys_purchase_id", "purchase_id"),
    comment="Idempotency keys of checkout requests, what each asked for, and what came of it.",
)
