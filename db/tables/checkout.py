"""Buyers, what they set out to buy, and the keys that their requests came with."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.tables.columns import metadata, time_column

buyers = Table(
    "buyers",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("customer_id", Text),
    Column("missing_customer_ids", JSONB, nullable=False, server_default="[]"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("claim_id", Text),
    time_column("claimed_until"),
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
    time_column("expires_at"),
    time_column("asked_at"),
    time_column("created_at", nullable=False, default_now=True),
    Column("expire_tries", Integer, nullable=False, server_default="0"),
    time_column("expire_after"),
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
    time_column("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("user_id", "idempotency_key"),
    ForeignKeyConstraint(["purchase_id"], ["purchases.id"]),
    CheckConstraint("length(idempotency_key) BETWEEN 1 AND 255", name="checkout_keys_length"),
    CheckConstraint("request_hash ~ '^[0-9a-f]{64}$'", name="checkout_keys_request_is_a_hash"),
    Index("checkout_keys_purchase_id", "purchase_id"),
    comment="Idempotency keys of checkout requests, what each asked for, and what came of it.",
)
