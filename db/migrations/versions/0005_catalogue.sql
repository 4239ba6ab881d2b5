ALTER TABLE plans
    ADD COLUMN interval_count INTEGER DEFAULT '1' NOT NULL,
    DROP CONSTRAINT plans_interval_known,
    ADD CONSTRAINT plans_interval_known CHECK (interval IN ('day', 'week', 'month', 'year')),
    ADD CONSTRAINT plans_interval_counted
        CHECK (interval_count >= 1 AND (interval IS NOT NULL OR interval_count = 1));

ALTER TABLE plan_prices ADD COLUMN on_sale BOOLEAN DEFAULT 'true' NOT NULL;

CREATE TABLE prices_without_tokens (
    price_id TEXT NOT NULL,
    PRIMARY KEY (price_id),
    CONSTRAINT prices_without_tokens_named CHECK (price_id <> '')
);
COMMENT ON TABLE prices_without_tokens IS 'Stripe price ids of other things that are sold: setup fees, use beyond a plan''s.';
