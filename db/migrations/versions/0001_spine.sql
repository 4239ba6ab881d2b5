CREATE TABLE catalogue_revision (
    only_row BOOLEAN DEFAULT 'true' NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (only_row),
    CONSTRAINT catalogue_revision_one_row CHECK (only_row)
);
COMMENT ON TABLE catalogue_revision IS 'Counts changes of the catalogue, so a worker knows when to read it again.';

CREATE TABLE customers (
    id TEXT NOT NULL,
    user_id TEXT,
    claimed_created BIGINT,
    claimed_event_id TEXT,
    other_user_ids JSONB DEFAULT '[]' NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT customers_claim_whole CHECK ((user_id IS NULL) = (claimed_created IS NULL) AND (user_id IS NULL) = (claimed_event_id IS NULL))
);
CREATE INDEX customers_user_id ON customers (user_id);
COMMENT ON TABLE customers IS 'Stripe customers and the user the earliest event claimed them for.';

CREATE TABLE disputes (
    id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    status TEXT NOT NULL,
    status_created BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    funds TEXT NOT NULL,
    funds_created BIGINT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT disputes_not_negative CHECK (amount_minor >= 0),
    CONSTRAINT disputes_funds CHECK (funds IN ('untouched', 'withdrawn', 'reinstated'))
);
CREATE INDEX disputes_target_id ON disputes (target_id);
COMMENT ON TABLE disputes IS 'Disputes by id; funds says where the money is, newest report first.';

CREATE TABLE ledger_entries (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    user_id TEXT NOT NULL,
    delta BIGINT NOT NULL,
    kind TEXT NOT NULL,
    balance_after BIGINT NOT NULL,
    payment_id TEXT,
    event_id TEXT,
    reason TEXT NOT NULL,
    idempotency_key TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT ledger_entries_move_something CHECK (delta <> 0),
    CONSTRAINT ledger_entries_kind_known CHECK (kind IN ('grant', 'debit', 'reversal', 'restore', 'adjustment')),
    CONSTRAINT ledger_entries_sign CHECK (CASE kind WHEN 'grant' THEN delta > 0 WHEN 'restore' THEN delta > 0 WHEN 'reversal' THEN delta < 0 WHEN 'debit' THEN delta < 0 ELSE true END),
    CONSTRAINT ledger_entries_debit_is_covered CHECK (kind <> 'debit' OR (balance_after >= 0 AND idempotency_key IS NOT NULL)),
    CONSTRAINT ledger_entries_follow_money CHECK (kind NOT IN ('grant', 'reversal', 'restore') OR payment_id IS NOT NULL)
);
CREATE UNIQUE INDEX ledger_entries_idempotency_key ON ledger_entries (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX ledger_entries_payment_id ON ledger_entries (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX ledger_entries_user_id ON ledger_entries (user_id, id);
COMMENT ON TABLE ledger_entries IS 'Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE.';

CREATE TABLE payments (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    root_id TEXT NOT NULL,
    customer_id TEXT,
    subscription_id TEXT,
    facts JSONB NOT NULL,
    listed BOOLEAN DEFAULT 'false' NOT NULL,
    user_id TEXT,
    status TEXT,
    currency TEXT,
    amount_minor BIGINT DEFAULT '0' NOT NULL,
    refunded_minor BIGINT DEFAULT '0' NOT NULL,
    disputed_minor BIGINT DEFAULT '0' NOT NULL,
    plan_id INTEGER,
    plan_version INTEGER,
    tokens BIGINT DEFAULT '0' NOT NULL,
    lacks_user BOOLEAN DEFAULT 'false' NOT NULL,
    lacks_plan BOOLEAN DEFAULT 'false' NOT NULL,
    receipt_url TEXT,
    created_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT payments_kind_known CHECK (kind IN ('invoice', 'session', 'intent', 'charge')),
    CONSTRAINT payments_status_known CHECK (status IN ('pending', 'paid', 'failed', 'refunded', 'partially_refunded', 'disputed')),
    CONSTRAINT payments_listed CHECK (NOT listed OR (root_id = id AND status IS NOT NULL)),
    CONSTRAINT payments_parts_are_worth_nothing CHECK (root_id = id OR tokens = 0),
    CONSTRAINT payments_taken_not_negative CHECK (refunded_minor >= 0 AND disputed_minor >= 0)
);
CREATE INDEX payments_customer_id ON payments (customer_id);
CREATE INDEX payments_root_id ON payments (root_id);
CREATE INDEX payments_subscription_id ON payments (subscription_id);
CREATE INDEX payments_unlinked ON payments (id) WHERE lacks_user OR lacks_plan;
CREATE INDEX payments_user_id ON payments (user_id, created_at) WHERE listed;
COMMENT ON TABLE payments IS 'Invoices, checkout sessions, payment intents and charges: what is known of each, which payment (root) it belongs to, and on the root what that payment stands for.';

CREATE TABLE plans (
    id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    tokens BIGINT NOT NULL,
    interval TEXT,
    trial_days INTEGER DEFAULT '0' NOT NULL,
    trial_tokens BIGINT DEFAULT '0' NOT NULL,
    active BOOLEAN DEFAULT 'true' NOT NULL,
    is_current BOOLEAN DEFAULT 'true' NOT NULL,
    effective_from TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id, version),
    CONSTRAINT plans_type_known CHECK (type IN ('full', 'token')),
    CONSTRAINT plans_interval_known CHECK (interval IN ('month', 'year')),
    CONSTRAINT plans_full_recurs CHECK (type = 'token' OR interval IS NOT NULL),
    CONSTRAINT plans_not_negative CHECK (tokens >= 0 AND trial_tokens >= 0 AND trial_days >= 0)
);
CREATE UNIQUE INDEX plans_one_current ON plans (id) WHERE is_current;
COMMENT ON TABLE plans IS 'The catalogue; changed terms make a new version, what was sold keeps its own.';

CREATE TABLE refunds (
    id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    status TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    failed_created BIGINT,
    PRIMARY KEY (id),
    CONSTRAINT refunds_not_negative CHECK (amount_minor >= 0)
);
CREATE INDEX refunds_target_id ON refunds (target_id);
COMMENT ON TABLE refunds IS 'Refunds by id; target_id is the payments row (intent or charge) they take from.';

CREATE TABLE subscriptions (
    id TEXT NOT NULL,
    customer_id TEXT,
    user_id TEXT,
    claimed_plan_id INTEGER,
    claimed_plan_created BIGINT,
    claimed_plan_event_id TEXT,
    status TEXT,
    items JSONB DEFAULT '[]' NOT NULL,
    cancel_at_period_end BOOLEAN DEFAULT 'false' NOT NULL,
    cancel_at TIMESTAMP WITH TIME ZONE,
    canceled_at TIMESTAMP WITH TIME ZONE,
    trial_end TIMESTAMP WITH TIME ZONE,
    started_at TIMESTAMP WITH TIME ZONE,
    versions BYTEA,
    undecided BOOLEAN DEFAULT 'false' NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX subscriptions_customer_id ON subscriptions (customer_id);
CREATE INDEX subscriptions_undecided ON subscriptions (id) WHERE undecided;
CREATE INDEX subscriptions_user_id ON subscriptions (user_id) WHERE user_id IS NOT NULL;
COMMENT ON TABLE subscriptions IS 'The newest state Stripe reported of each subscription.';

CREATE TABLE token_accounts (
    user_id TEXT NOT NULL,
    balance BIGINT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (user_id)
);
COMMENT ON TABLE token_accounts IS 'The sum of each user''s ledger entries, kept in the same transaction.';

CREATE TABLE webhook_events (
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    status TEXT NOT NULL,
    object_id TEXT,
    customer_id TEXT,
    user_id TEXT,
    body BYTEA NOT NULL,
    source TEXT NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE,
    attempts INTEGER DEFAULT '0' NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    note TEXT,
    error TEXT,
    PRIMARY KEY (id),
    CONSTRAINT webhook_events_status_known CHECK (status IN ('received', 'applied', 'ignored', 'failed', 'dead')),
    CONSTRAINT webhook_events_waiting_has_a_time CHECK ((status IN ('received', 'failed')) = (next_attempt_at IS NOT NULL))
);
CREATE INDEX webhook_events_customer_id ON webhook_events (customer_id);
CREATE INDEX webhook_events_due ON webhook_events (next_attempt_at) WHERE status IN ('received', 'failed');
CREATE INDEX webhook_events_object_id ON webhook_events (object_id);
CREATE INDEX webhook_events_received_at ON webhook_events (received_at);
CREATE INDEX webhook_events_unfinished ON webhook_events (status) WHERE status IN ('received', 'failed', 'dead');
CREATE INDEX webhook_events_user_id ON webhook_events (user_id) WHERE user_id IS NOT NULL;
COMMENT ON TABLE webhook_events IS 'The inbox: every event Stripe sent, its body as signed (zstd), and what came of it.';

CREATE TABLE plan_prices (
    plan_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (plan_id, version, currency),
    FOREIGN KEY(plan_id, version) REFERENCES plans (id, version),
    CONSTRAINT plan_prices_not_negative CHECK (amount_minor >= 0),
    CONSTRAINT plan_prices_currency_code CHECK (currency ~ '^[a-z]{3}$')
);
COMMENT ON TABLE plan_prices IS 'What one unit of a plan version costs, by currency, in minor units.';

CREATE TABLE stripe_prices (
    id TEXT NOT NULL,
    plan_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    currency TEXT NOT NULL,
    is_current BOOLEAN DEFAULT 'true' NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(plan_id, version, currency) REFERENCES plan_prices (plan_id, version, currency)
);
CREATE UNIQUE INDEX stripe_prices_one_current ON stripe_prices (plan_id, version, currency) WHERE is_current;
COMMENT ON TABLE stripe_prices IS 'Stripe price ids, each bound for ever to the terms of one plan version.';


INSERT INTO catalogue_revision (revision) VALUES (0);

-- The ledger only grows: history is corrected by another entry, never rewritten.
CREATE FUNCTION refuse_ledger_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger_entries is append-only: post another entry instead of a %', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER ledger_entries_append_only
    BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_ledger_rewrite();

CREATE TRIGGER ledger_entries_no_truncate
    BEFORE TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_rewrite();

-- A signed event's body is evidence: it may be dropped by retention, never edited.
CREATE FUNCTION refuse_body_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'webhook_events.body is what Stripe signed and cannot be changed (event %)', OLD.id
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER webhook_events_body_fixed
    BEFORE UPDATE OF body ON webhook_events
    FOR EACH ROW EXECUTE FUNCTION refuse_body_rewrite();
