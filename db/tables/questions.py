"""What is asked of Stripe, whose turn it is, and which account is ours."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from db.tables.columns import metadata, time_column

questions = Table(
    "questions",
    metadata,
    Column("kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("asks", Integer, nullable=False, server_default="0"),
    Column("silences", Integer, nullable=False, server_default="0"),
    time_column("last_asked_at", nullable=False),
    time_column("next_ask_at", nullable=False),
    Column("last_answer", Text),
    time_column("given_up_at"),
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
    time_column("held_until"),
    Column("failures", Integer, nullable=False, server_default="0"),
    time_column("failing_since"),
    time_column("pause_until"),
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
    time_column("asked_at", nullable=False, default_now=True),
    CheckConstraint("only_row", name="own_account_one_row"),
    CheckConstraint("key_hash ~ '^[0-9a-f]{64}$'", name="own_account_key_is_a_hash"),
    comment=(
        "The Stripe account of the configured key, which is kept as a hash;"
        " account_id is NULL where Stripe did not say."
    ),
)

notices = Table(
    "notices",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("object_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("twin_id", Text),
    time_column("noted_at", nullable=False, default_now=True),
    Index("notices_object_id", "object_id"),
    comment="Thin events that wait for Stripe to tell what they speak of; a row is deleted once"
    " the answer is stored.",
)

noticed_objects = Table(
    "noticed_objects",
    metadata,
    Column("object_id", Text, primary_key=True),
    Column("asks", Integer, nullable=False, server_default="0"),
    Column("silences", Integer, nullable=False, server_default="0"),
    time_column("last_asked_at", nullable=False),
    time_column("next_ask_at", nullable=False),
    Column("last_answer", Text),
    CheckConstraint("asks >= 0 AND silences >= 0", name="noticed_objects_not_negative"),
    Index("noticed_objects_next_ask_at", "next_ask_at"),
    comment="When Stripe was last asked about an object that notices speak of, so that nobody"
    " asks twice a second, and what came of it.",
)
