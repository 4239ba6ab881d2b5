ALTER TABLE token_accounts ADD COLUMN last_grant BIGINT;
UPDATE token_accounts AS account SET last_grant = granted.delta
FROM (
    SELECT DISTINCT ON (user_id) user_id, delta FROM ledger_entries
    WHERE kind = 'grant' ORDER BY user_id, id DESC
) AS granted
WHERE granted.user_id = account.user_id;

CREATE TABLE outbox_users (
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    is_pending BOOLEAN DEFAULT 'true' NOT NULL,
    CONSTRAINT outbox_users_pkey PRIMARY KEY (user_id),
    CONSTRAINT outbox_users_counts_from_one CHECK (version > 0)
);
COMMENT ON TABLE outbox_users IS 'How many messages each user had: the newest version. Pending are users with messages that no destination was assigned yet.';
CREATE INDEX outbox_users_pending ON outbox_users (user_id) WHERE is_pending;

CREATE TABLE outbox (
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    type TEXT NOT NULL,
    data JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (user_id, version),
    CONSTRAINT outbox_type_known CHECK (type IN ('tokens.changed', 'tokens.low', 'tokens.exhausted', 'subscription.changed', 'access.changed', 'payment.paid', 'payment.failed', 'payment.refunded', 'payment.disputed', 'trial.ending'))
);
COMMENT ON TABLE outbox IS 'What users and their apps are told: the whole state after a change, written in the transaction of the change, numbered per user. Deleted when it is old and told.';
CREATE INDEX outbox_created_at ON outbox USING brin (created_at);

CREATE TABLE destinations (
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    types JSONB DEFAULT '[]' NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    paused_at TIMESTAMP WITH TIME ZONE,
    paused_why TEXT,
    failures INTEGER DEFAULT '0' NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    CONSTRAINT destinations_pkey PRIMARY KEY (id),
    CONSTRAINT destinations_pause_has_a_reason CHECK ((paused_at IS NULL) = (paused_why IS NULL)),
    CONSTRAINT destinations_old_secret_runs_out CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CONSTRAINT destinations_failing_since_a_time CHECK ((failures = 0) = (failing_since IS NULL))
);
COMMENT ON TABLE destinations IS 'Who is told of changes by webhook, with the secrets that sign, and how the last attempts went. No types means all types.';

CREATE TABLE destination_users (
    destination_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    wanted BIGINT NOT NULL,
    failures INTEGER DEFAULT '0' NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT destination_users_pkey PRIMARY KEY (destination_id, user_id),
    CONSTRAINT destination_users_destination_id_fkey FOREIGN KEY(destination_id) REFERENCES destinations (id) ON DELETE CASCADE,
    CONSTRAINT destination_users_failing_since_a_time CHECK ((failures = 0) = (failing_since IS NULL))
);
COMMENT ON TABLE destination_users IS 'Up to which version a destination was told of a user, and up to which it is to be told. Nothing waits where next_attempt_at is NULL.';
CREATE INDEX destination_users_due ON destination_users (destination_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX destination_users_user_id ON destination_users (user_id);

CREATE TABLE destination_resends (
    destination_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT destination_resends_pkey PRIMARY KEY (destination_id, user_id, version),
    CONSTRAINT destination_resends_destination_id_fkey FOREIGN KEY(destination_id) REFERENCES destinations (id) ON DELETE CASCADE
);
COMMENT ON TABLE destination_resends IS 'Messages that a person wants a destination to be told once more.';
