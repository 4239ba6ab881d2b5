"""The catalogue's tables: plans by version, their prices, and the price ids bound to them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    time_column("effective_from", nullable=False, default_now=True),
    Column("features", JSONB, nullable=False, server_default="{}"),
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
    CheckConstraint("jsonb_typeof(features) = 'object'", name="plans_features_are_named"),
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
