"""The queues' tables: events, the attempts at them, and what is paused or read so far."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from db.tables.columns import metadata, time_column

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    time_column("created_at", nullable=False),
    Column("status", Text, nullable=False),
    Column("object_id", Text),
    Column("customer_id", Text),
    Column("user_id", Text),
    Column("body", LargeBinary, nullable=False),
    Column("source", Text, nullable=False),
    time_column("received_at", nullable=False, default_now=True),
    time_column("applied_at"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    time_column("next_attempt_at"),
    Column("note", Text),
    Column("error", Text),
    Column("signature", Text),
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
    time_column("paused_at", nullable=False, default_now=True),
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
    time_column("moved_at", nullable=False, default_now=True),
    time_column("walk_change"),
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

redis_seen = Table(
    "redis_seen",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("server_id", Text, nullable=False),
    time_column("seen_at", nullable=False, default_now=True),
    time_column("changed_at"),
    time_column("reread_from"),
    CheckConstraint("only_row", name="redis_seen_one_row"),
    CheckConstraint(
        "reread_from IS NULL OR changed_at IS NOT NULL", name="redis_seen_reread_has_a_cause"
    ),
    comment=(
        "Which Redis answered last, and when it was another before; from reread_from on Stripe's"
        " list of events is to be read anew, because that Redis may have had events of its own."
    ),
)
