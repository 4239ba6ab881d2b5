"""The tables of our webhook endpoint at Stripe: what it is, how it changes, what a shadow tells."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)

from db.tables.columns import metadata, time_column

_KINDS = "kind IN ('classic', 'destination')"
_HASH = "secret_hash ~ '^[0-9a-f]{64}$'"

own_endpoint = Table(
    "own_endpoint",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("style", Text, nullable=False),
    Column("secret_hash", Text),
    time_column("noted_at", nullable=False, default_now=True),
    CheckConstraint("only_row", name="own_endpoint_one_row"),
    CheckConstraint(_KINDS, name="own_endpoint_kind_known"),
    CheckConstraint("style IN ('snapshot', 'thin')", name="own_endpoint_style_known"),
    CheckConstraint(_HASH, name="own_endpoint_secret_is_a_hash"),
    comment=(
        "The webhook endpoint at Stripe that `webhook_endpoint create` made or found;"
        " of its secret a hash only."
    ),
)

endpoint_changes = Table(
    "endpoint_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("old_id", Text, nullable=False),
    Column("new_id", Text),
    Column("from_version", Text, nullable=False),
    Column("to_version", Text, nullable=False),
    Column("secret_hash", Text),
    Column("old_secret_hash", Text),
    Column("asked_by", Text, nullable=False),
    time_column("begun_at", nullable=False, default_now=True),
    time_column("enabled_at"),
    time_column("quiet_from"),
    time_column("ended_at"),
    CheckConstraint("purpose IN ('rotate', 'upgrade')", name="endpoint_changes_purpose_known"),
    CheckConstraint(
        "state IN ('begun', 'made', 'enabled', 'switched', 'done', 'given_up')",
        name="endpoint_changes_state_known",
    ),
    CheckConstraint(_KINDS, name="endpoint_changes_kind_known"),
    CheckConstraint(_HASH, name="endpoint_changes_secret_is_a_hash"),
    CheckConstraint(f"old_{_HASH}", name="endpoint_changes_old_secret_is_a_hash"),
    CheckConstraint(
        "(state IN ('done', 'given_up')) = (ended_at IS NOT NULL)",
        name="endpoint_changes_end_has_a_time",
    ),
    CheckConstraint(
        "state IN ('begun', 'given_up') OR new_id IS NOT NULL",
        name="endpoint_changes_made_has_an_id",
    ),
    Index(
        "endpoint_changes_one_at_a_time",
        text("(ended_at IS NULL)"),
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
    comment=(
        "Rotations and upgrades of our webhook endpoint: how far each is, so that it goes on"
        " after a break."
    ),
)


def _change_id() -> Column[int]:
    return Column(
        "change_id",
        BigInteger,
        ForeignKey("endpoint_changes.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )


shadow_events = Table(
    "shadow_events",
    metadata,
    _change_id(),
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    time_column("created_at", nullable=False),
    Column("body", LargeBinary, nullable=False),
    time_column("received_at", nullable=False, default_now=True),
    Column("subject", Text),
    Column("object_id", Text),
    time_column("judged_at"),
    Index(
        "shadow_events_unjudged",
        "change_id",
        "received_at",
        postgresql_where=text("judged_at IS NULL"),
    ),
    Index("shadow_events_subject", "change_id", "subject"),
    Index("shadow_events_object_id", "change_id", "object_id"),
    comment=(
        "What the endpoint of an upgrade delivered, compared with the inbox and never applied."
    ),
)

shadow_differences = Table(
    "shadow_differences",
    metadata,
    _change_id(),
    Column("subject", Text, primary_key=True),
    Column("object_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("before", Text),
    Column("after", Text),
    Column("excuse", Text, nullable=False),
    time_column("seen_at", nullable=False, default_now=True),
    comment="Facts that the two versions of an upgrade tell differently, by subject and object.",
)
