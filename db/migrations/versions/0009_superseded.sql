ALTER TABLE purchases
    ADD COLUMN expire_tries INTEGER DEFAULT '0' NOT NULL,
    ADD COLUMN expire_after TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT purchases_expire_tries_not_negative CHECK (expire_tries >= 0);
CREATE INDEX purchases_payable ON purchases (expires_at) WHERE state = 'open' AND session_id IS NOT NULL;
