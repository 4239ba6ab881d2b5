CREATE TABLE own_account (
    only_row boolean PRIMARY KEY DEFAULT true,
    key_hash text NOT NULL,
    account_id text,
    asked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT own_account_one_row CHECK (only_row),
    CONSTRAINT own_account_key_is_a_hash CHECK (key_hash ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE own_account IS 'The Stripe account of the configured key, which is kept as a hash; account_id is NULL where Stripe did not say.';
