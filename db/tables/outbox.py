"""The outbox's tables: what users are told, and the destinations that are told it by webhook."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
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

outbox_users = Table(
    "outbox_users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("is_pending", Boolean, nullable=False, server_default="true"),
    CheckConstraint("version > 0", name="outbox_users_counts_from_one"),
    Index("outbox_users_pending", "user_id", postgresql_where=text("is_pending")),
    comment=(
        "How many messages each user had: the newest version. Pending are users with messages"
        " that no destination was assigned yet."
    ),
)

outbox = Table(
    "outbox",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    # It is written and sent as it is, never searched, so PostgreSQL need not take it apart.
    Column("data", JSON, nullable=False),
    Column(
        "created_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=text("clock_timestamp()"),
    ),
    PrimaryKeyConstraint("user_id", "version"),
    CheckConstraint(
        "type IN ('tokens.changed', 'tokens.low', 'tokens.exhausted', 'subscription.changed',"
        " 'access.changed', 'payment.paid', 'payment.failed', 'payment.refunded',"
        " 'payment.disputed', 'trial.ending')",
        name="outbox_type_known",
    ),
    Index("outbox_created_at", "created_at", postgresql_using="brin"),
    comment=(
        "What users and their apps are told: the whole state after a change, written in the"
        " transaction of the change, numbered per user. Deleted when it is old and told."
    ),
)

destinations = Table(
    "destinations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("types", JSONB, nullable=False, server_default="[]"),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    time_column("old_secret_until"),
    time_column("created_at", nullable=False, default_now=True),
    time_column("paused_at"),
    Column("paused_why", Text),
    Column("failures", Integer, nullable=False, server_default="0"),
    time_column("failing_since"),
    time_column("next_attempt_at"),
    Column("last_error", Text),
    CheckConstraint(
        "(paused_at IS NULL) = (paused_why IS NULL)", name="destinations_pause_has_a_reason"
    ),
    CheckConstraint(
        "(old_secret IS NULL) = (old_secret_until IS NULL)",
        name="destinations_old_secret_runs_out",
    ),
    CheckConstraint(
        "(failures = 0) = (failing_since IS NULL)", name="destinations_failing_since_a_time"
    ),
    comment=(
        "Who is told of changes by webhook, with the secrets that sign, and how the last attempts"
        " went. No types means all types."
    ),
)

destination_users = Table(
    "destination_users",
    metadata,
    Column("destination_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("wanted", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    time_column("failing_since"),
    time_column("next_attempt_at"),
    PrimaryKeyConstraint("destination_id", "user_id"),
    ForeignKeyConstraint(["destination_id"], ["destinations.id"], ondelete="CASCADE"),
    CheckConstraint(
        "(failures = 0) = (failing_since IS NULL)", name="destination_users_failing_since_a_time"
    ),
    Index(
        "destination_users_due",
        "destination_id",
        "next_attempt_at",
        postgresql_where=text("next_attempt_at IS NOT NULL"),
    ),
    Index("destination_users_user_id", "user_id"),
    comment=(
        "Up to which version a destination was told of a user, and up to which it is to be told."
        " Nothing waits where next_attempt_at is NULL."
    ),
)

destination_resends = Table(
    "destination_resends",
    metadata,
    Column("destination_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("destination_id", "user_id", "version"),
    ForeignKeyConstraint(["destination_id"], ["destinations.id"], ondelete="CASCADE"),
    comment="Messages that a person wants a destination to be told once more.",
)
