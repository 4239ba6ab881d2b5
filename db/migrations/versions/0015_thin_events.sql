CREATE TABLE notices (
    event_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    type TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    path TEXT NOT NULL,
    twin_id TEXT,
    noted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id)
);
CREATE INDEX notices_object_id ON notices (object_id);
COMMENT ON TABLE notices IS 'Thin events that wait for Stripe to tell what they speak of; a row is deleted once the answer is stored.';

CREATE TABLE noticed_objects (
    object_id TEXT NOT NULL,
    asks INTEGER DEFAULT '0' NOT NULL,
    silences INTEGER DEFAULT '0' NOT NULL,
    last_asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    next_ask_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_answer TEXT,
    PRIMARY KEY (object_id),
    CONSTRAINT noticed_objects_not_negative CHECK (asks >= 0 AND silences >= 0)
);
CREATE INDEX noticed_objects_next_ask_at ON noticed_objects (next_ask_at);
COMMENT ON TABLE noticed_objects IS 'When Stripe was last asked about an object that notices speak of, so that nobody asks twice a second, and what came of it.';

ALTER TABLE webhook_events ADD COLUMN signature TEXT;

-- It proves the body, so it is kept as the body is.
CREATE TRIGGER webhook_events_signature_fixed
    BEFORE UPDATE OF signature ON webhook_events
    FOR EACH ROW EXECUTE FUNCTION refuse_body_rewrite();
