-- Old entries stay as they are: the ledger is never rewritten.
ALTER TABLE ledger_entries
    ADD CONSTRAINT ledger_entries_event_is_named CHECK (event_id <> '') NOT VALID;
CREATE INDEX ledger_entries_of_adjustments ON ledger_entries (event_id)
    WHERE payment_id IS NULL AND event_id IS NOT NULL;
