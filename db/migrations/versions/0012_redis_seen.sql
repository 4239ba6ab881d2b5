CREATE TABLE redis_seen (
    only_row BOOLEAN DEFAULT 'true' NOT NULL,
    server_id TEXT NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE,
    reread_from TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (only_row),
    CONSTRAINT redis_seen_one_row CHECK (only_row),
    CONSTRAINT redis_seen_reread_has_a_cause CHECK (reread_from IS NULL OR changed_at IS NOT NULL)
);
COMMENT ON TABLE redis_seen IS 'Which Redis answered last, and when it was another before; from reread_from on Stripe''s list of events is to be read anew, because that Redis may have had events of its own.';

ALTER TABLE reconcile_progress ADD COLUMN walk_change TIMESTAMP WITH TIME ZONE;
