CREATE TABLE own_endpoint (
    only_row BOOLEAN DEFAULT 'true' NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    style TEXT NOT NULL,
    secret_hash TEXT,
    noted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (only_row),
    CONSTRAINT own_endpoint_one_row CHECK (only_row),
    CONSTRAINT own_endpoint_kind_known CHECK (kind IN ('classic', 'destination')),
    CONSTRAINT own_endpoint_style_known CHECK (style IN ('snapshot', 'thin')),
    CONSTRAINT own_endpoint_secret_is_a_hash CHECK (secret_hash ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE own_endpoint IS 'The webhook endpoint at Stripe that `webhook_endpoint create` made or found; of its secret a hash only.';

CREATE TABLE endpoint_changes (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    purpose TEXT NOT NULL,
    state TEXT NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    old_id TEXT NOT NULL,
    new_id TEXT,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    secret_hash TEXT,
    old_secret_hash TEXT,
    asked_by TEXT NOT NULL,
    begun_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    enabled_at TIMESTAMP WITH TIME ZONE,
    quiet_from TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT endpoint_changes_purpose_known CHECK (purpose IN ('rotate', 'upgrade')),
    CONSTRAINT endpoint_changes_state_known CHECK (state IN ('begun', 'made', 'enabled', 'switched', 'done', 'given_up')),
    CONSTRAINT endpoint_changes_kind_known CHECK (kind IN ('classic', 'destination')),
    CONSTRAINT endpoint_changes_secret_is_a_hash CHECK (secret_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT endpoint_changes_old_secret_is_a_hash CHECK (old_secret_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT endpoint_changes_end_has_a_time CHECK ((state IN ('done', 'given_up')) = (ended_at IS NOT NULL)),
    CONSTRAINT endpoint_changes_made_has_an_id CHECK (state IN ('begun', 'given_up') OR new_id IS NOT NULL)
);
CREATE UNIQUE INDEX endpoint_changes_one_at_a_time ON endpoint_changes ((ended_at IS NULL)) WHERE ended_at IS NULL;
COMMENT ON TABLE endpoint_changes IS 'Rotations and upgrades of our webhook endpoint: how far each is, so that it goes on after a break.';

CREATE TABLE shadow_events (
    change_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    body BYTEA NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    subject TEXT,
    object_id TEXT,
    judged_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (change_id, id),
    FOREIGN KEY(change_id) REFERENCES endpoint_changes (id) ON DELETE CASCADE
);
CREATE INDEX shadow_events_unjudged ON shadow_events (change_id, received_at) WHERE judged_at IS NULL;
CREATE INDEX shadow_events_subject ON shadow_events (change_id, subject);
CREATE INDEX shadow_events_object_id ON shadow_events (change_id, object_id);
COMMENT ON TABLE shadow_events IS 'What the endpoint of an upgrade delivered, compared with the inbox and never applied.';

CREATE TABLE shadow_differences (
    change_id BIGINT NOT NULL,
    subject TEXT NOT NULL,
    object_id TEXT NOT NULL,
    path TEXT NOT NULL,
    before TEXT,
    after TEXT,
    excuse TEXT NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (change_id, subject, object_id, path),
    FOREIGN KEY(change_id) REFERENCES endpoint_changes (id) ON DELETE CASCADE
);
COMMENT ON TABLE shadow_differences IS 'Facts that the two versions of an upgrade tell differently, by subject and object.';
