-- What the worth of a payment depends on since the rules of 2026-11: names of payers, what a
-- subscription was ever reported to be, credit notes, and what hangs in the air.

ALTER TABLE customers ADD COLUMN alias_ids jsonb NOT NULL DEFAULT '[]';

CREATE INDEX customers_contested ON customers (id) WHERE other_user_ids <> '[]';

ALTER TABLE subscriptions
    ADD COLUMN named_plan_id integer,
    ADD COLUMN named_plan_created bigint,
    ADD COLUMN sold jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN pause_collection jsonb;

ALTER TABLE payments
    ADD COLUMN credited_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN note text,
    ADD COLUMN loose_ends jsonb,
    ADD COLUMN question text,
    ADD COLUMN question_subject text,
    DROP CONSTRAINT payments_kind_known,
    ADD CONSTRAINT payments_kind_known
        CHECK (kind IN ('invoice', 'session', 'intent', 'charge', 'payment_record')),
    ADD CONSTRAINT payments_question_known
        CHECK (question IN ('line_items', 'invoice_lines', 'payment_of')),
    ADD CONSTRAINT payments_question_has_a_subject
        CHECK ((question IS NULL) = (question_subject IS NULL));
CREATE INDEX payments_loose ON payments (id) WHERE loose_ends IS NOT NULL;
CREATE INDEX payments_question ON payments (question_subject) WHERE question IS NOT NULL;

ALTER TABLE disputes ADD COLUMN currency text NOT NULL DEFAULT '';

CREATE TABLE credit_notes (
    id text PRIMARY KEY,
    target_id text NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT credit_notes_not_negative CHECK (amount_minor >= 0),
    is_void boolean NOT NULL DEFAULT false,
    refunds jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX credit_notes_target_id ON credit_notes (target_id);
COMMENT ON TABLE credit_notes IS
    'Credit notes by id; target_id is the invoice they lower, refunds what paid them out.';
