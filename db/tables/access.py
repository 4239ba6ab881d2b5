"""The tables of access: policies, and what each user was last seen to have."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from db.tables.columns import metadata, time_column

access_policies = Table(
    "access_policies",
    metadata,
    Column("status", Text, primary_key=True),
    Column("allows", Boolean, nullable=False),
    Column("grace_seconds", BigInteger),
    CheckConstraint(
        "status IN ('past_due', 'unpaid', 'paused')", name="access_policies_status_known"
    ),
    CheckConstraint(
        "grace_seconds IS NULL OR (allows AND grace_seconds > 0)",
        name="access_policies_grace_allows",
    ),
    comment=(
        "Whether features stay while money is missing, and for how long; no row is the default."
    ),
)

access_states = Table(
    "access_states",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("seen", JSONB, nullable=False, server_default="{}"),
    time_column("changes_at"),
    Index("access_states_due", "changes_at", postgresql_where=text("changes_at IS NOT NULL")),
    comment=(
        "What each user was last seen to have access to, and when that is to be looked at again."
    ),
)
