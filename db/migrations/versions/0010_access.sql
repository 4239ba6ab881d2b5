ALTER TABLE plans ADD COLUMN features JSONB DEFAULT '{}' NOT NULL;
ALTER TABLE plans ADD CONSTRAINT plans_features_are_named CHECK (jsonb_typeof(features) = 'object');

CREATE TABLE access_policies (
    status TEXT NOT NULL,
    allows BOOLEAN NOT NULL,
    grace_seconds BIGINT,
    PRIMARY KEY (status),
    CONSTRAINT access_policies_status_known CHECK (status IN ('past_due', 'unpaid', 'paused')),
    CONSTRAINT access_policies_grace_allows CHECK (grace_seconds IS NULL OR (allows AND grace_seconds > 0))
);
COMMENT ON TABLE access_policies IS 'Whether features stay while money is missing, and for how long; no row is the default.';

ALTER TABLE subscriptions
    ADD COLUMN status_since TIMESTAMP WITH TIME ZONE,
    ADD COLUMN paused_since TIMESTAMP WITH TIME ZONE;

ALTER TABLE payments ADD COLUMN packages JSONB;

CREATE TABLE access_states (
    user_id TEXT NOT NULL,
    seen JSONB DEFAULT '{}' NOT NULL,
    changes_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (user_id)
);
CREATE INDEX access_states_due ON access_states (changes_at) WHERE changes_at IS NOT NULL;
COMMENT ON TABLE access_states IS 'What each user was last seen to have access to, and when that is to be looked at again.';
