CREATE TABLE event_attempts (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    event_id TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    cause TEXT NOT NULL,
    asked_by TEXT,
    reason TEXT,
    status TEXT NOT NULL,
    error TEXT,
    traceback TEXT,
    PRIMARY KEY (id),
    CONSTRAINT event_attempts_cause_known CHECK (cause IN ('delivery', 'retry', 'replay', 'reconcile')),
    CONSTRAINT event_attempts_replays_are_asked_for CHECK (cause <> 'replay' OR asked_by IS NOT NULL)
);
CREATE INDEX event_attempts_event_id ON event_attempts (event_id, id);
COMMENT ON TABLE event_attempts IS 'Every try at an event that failed, was repeated or was asked for; a first success leaves no row.';

CREATE TABLE paused_types (
    type TEXT NOT NULL,
    paused_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    paused_by TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (type)
);
COMMENT ON TABLE paused_types IS 'Event types whose events wait in the inbox until a person resumes them.';

CREATE TABLE reconcile_progress (
    only_row BOOLEAN DEFAULT 'true' NOT NULL,
    reached_created BIGINT,
    walk_from BIGINT,
    walk_top BIGINT,
    walk_after TEXT,
    moved_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (only_row),
    CONSTRAINT reconcile_progress_one_row CHECK (only_row),
    CONSTRAINT reconcile_progress_walk_whole CHECK ((walk_from IS NULL) = (walk_top IS NULL) AND (walk_from IS NULL) = (walk_after IS NULL))
);
COMMENT ON TABLE reconcile_progress IS 'Up to which of its seconds Stripe''s event list has been read without a gap, and where an unfinished reading stands.';
