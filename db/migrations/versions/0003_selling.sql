CREATE TABLE buyers (
    user_id TEXT NOT NULL,
    customer_id TEXT,
    missing_customer_ids JSONB DEFAULT '[]' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    claim_id TEXT,
    claimed_until TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (user_id),
    CONSTRAINT buyers_attempt_not_negative CHECK (attempt >= 0),
    CONSTRAINT buyers_claims_run_out CHECK ((claim_id IS NULL) = (claimed_until IS NULL)),
    CONSTRAINT buyers_missing_is_a_list CHECK (jsonb_typeof(missing_customer_ids) = 'array')
);
CREATE UNIQUE INDEX buyers_customer_id ON buyers (customer_id) WHERE customer_id IS NOT NULL;
COMMENT ON TABLE buyers IS 'Users who buy through us: the Stripe customer made for each, and the claim that lets one request at a time ask Stripe on a user''s behalf.';

CREATE TABLE purchases (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    plan_id INTEGER NOT NULL,
    plan_version INTEGER NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    mode TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    params JSONB NOT NULL,
    state TEXT DEFAULT 'open' NOT NULL,
    session_id TEXT,
    url TEXT,
    expires_at TIMESTAMP WITH TIME ZONE,
    asked_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT purchases_id_is_ours CHECK (id ~ '^[0-9a-f]{32}$'),
    CONSTRAINT purchases_fingerprint_is_a_hash CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    CONSTRAINT purchases_currency_code CHECK (currency ~ '^[a-z]{3}$'),
    CONSTRAINT purchases_not_negative CHECK (amount_minor >= 0),
    CONSTRAINT purchases_mode_known CHECK (mode IN ('payment', 'subscription')),
    CONSTRAINT purchases_state_known CHECK (state IN ('open', 'complete', 'expired', 'refused', 'lost')),
    CONSTRAINT purchases_address_is_of_a_session CHECK (session_id IS NOT NULL OR (url IS NULL AND expires_at IS NULL AND asked_at IS NULL)),
    CONSTRAINT purchases_end_with_a_session CHECK (state NOT IN ('complete', 'expired') OR session_id IS NOT NULL),
    CONSTRAINT purchases_open_can_be_paid CHECK (state <> 'open' OR (session_id IS NULL) = (url IS NULL))
);
CREATE UNIQUE INDEX purchases_one_open ON purchases (user_id, fingerprint) WHERE state = 'open';
CREATE UNIQUE INDEX purchases_session_id ON purchases (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX purchases_user_id ON purchases (user_id, created_at);
COMMENT ON TABLE purchases IS 'What users set out to buy: written, with what Stripe is asked for, before it is asked; the checkout session after.';

CREATE TABLE checkout_keys (
    user_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    purchase_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (user_id, idempotency_key),
    FOREIGN KEY(purchase_id) REFERENCES purchases (id),
    CONSTRAINT checkout_keys_length CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    CONSTRAINT checkout_keys_request_is_a_hash CHECK (request_hash ~ '^[0-9a-f]{64}$')
);
CREATE INDEX checkout_keys_purchase_id ON checkout_keys (purchase_id);
COMMENT ON TABLE checkout_keys IS 'Idempotency keys of checkout requests, what each asked for, and what came of it.';
