CREATE TABLE questions (
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    asks INTEGER DEFAULT '0' NOT NULL,
    silences INTEGER DEFAULT '0' NOT NULL,
    last_asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    next_ask_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_answer TEXT,
    given_up_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (kind, subject_id),
    CONSTRAINT questions_kind_known CHECK (kind IN ('line_items', 'invoice_lines', 'payment_of', 'subscription')),
    CONSTRAINT questions_not_negative CHECK (asks >= 0 AND silences >= 0),
    CONSTRAINT questions_given_up_say_why CHECK (given_up_at IS NULL OR last_answer IS NOT NULL)
);
CREATE INDEX questions_due ON questions (next_ask_at) WHERE given_up_at IS NULL;
COMMENT ON TABLE questions IS 'What Stripe was asked of late and how often; what is to be asked is said by payments and subscriptions themselves. A row that they no longer call for is dropped.';

CREATE TABLE stripe_turn (
    only_row BOOLEAN DEFAULT 'true' NOT NULL,
    holder TEXT,
    held_until TIMESTAMP WITH TIME ZONE,
    failures INTEGER DEFAULT '0' NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    pause_until TIMESTAMP WITH TIME ZONE,
    waiting TEXT,
    PRIMARY KEY (only_row),
    CONSTRAINT stripe_turn_one_row CHECK (only_row),
    CONSTRAINT stripe_turn_runs_out CHECK ((holder IS NULL) = (held_until IS NULL)),
    CONSTRAINT stripe_turn_not_negative CHECK (failures >= 0),
    CONSTRAINT stripe_turn_failing_since_a_time CHECK ((failures = 0) = (failing_since IS NULL)),
    CONSTRAINT stripe_turn_waiting_known CHECK (waiting IN ('after_outage', 'tick', 'goes_on'))
);
COMMENT ON TABLE stripe_turn IS 'Whose turn it is to ask Stripe, of all workers together, so that a Stripe that hangs holds up one process; how it answered of late; a reading of its list that waits.';
