ALTER TABLE plans
    ADD COLUMN interval_count INTEGER DEFAULT '1' NOT NULL,
    DROP CONSTRAINT plans_interval_known,
    ADD CONSTRAINT plans_interval_known CHECK (interval IN ('day', 'week', 'month', 'year')),
    ADD CONSTRAINT plans_interval_counted
        CHECK (interval_count >= 1 AND (interval IS NOT NULL OR interval_count = 1));

ALTER TABLE plan_prices ADD COLUMN on_sale BOOLEAN DEFAULT 'true' NOT NULL;
