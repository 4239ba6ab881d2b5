-- The role that web, worker and beat connect as: it runs the product and cannot rewrite history.
--
-- Run it as the owner of the tables after every migration; it may be run any number of times:
--
--     PGOPTIONS="-c billing.app_password=…" psql -v ON_ERROR_STOP=1 -1 -f deploy/app_role.sql
--
-- Triggers refuse to change the ledger's past for everyone; but an owner can switch triggers off.
-- This role owns nothing: no UPDATE, DELETE or TRUNCATE on the ledger, no TRIGGER anywhere, and it
-- can neither alter a table nor pretend to be a replica.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'billing_app') THEN
        CREATE ROLE billing_app;
    END IF;
    EXECUTE format(
        'ALTER ROLE billing_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
        ' PASSWORD %L',
        current_setting('billing.app_password')
    );
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO billing_app', current_database());
END
$$;

-- What is acknowledged is on disk, and nobody waits for a stuck session for long. Sessions ask for
-- the same themselves, but a pooler such as PgBouncer does not pass that on (DATABASE_POOLER).
ALTER ROLE billing_app SET synchronous_commit = on;
ALTER ROLE billing_app SET statement_timeout = '5s';
ALTER ROLE billing_app SET lock_timeout = '2s';
ALTER ROLE billing_app SET idle_in_transaction_session_timeout = '10s';
-- That no standby confirmed a commit is told by a warning.
ALTER ROLE billing_app SET client_min_messages = warning;
ALTER ROLE billing_app SET timezone = 'UTC';

REVOKE CREATE ON SCHEMA public FROM PUBLIC, billing_app;
GRANT USAGE ON SCHEMA public TO billing_app;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM billing_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO billing_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO billing_app;

-- Entries are added, never changed.
REVOKE UPDATE, DELETE ON ledger_entries FROM billing_app;
-- What was told is not told otherwise later; it is deleted once everybody has it.
REVOKE UPDATE ON outbox FROM billing_app;
-- Balances move, they do not vanish.
REVOKE DELETE ON token_accounts FROM billing_app;
-- What users set out to buy stays known, and so does whose customer was made for it.
REVOKE DELETE ON buyers, purchases, checkout_keys FROM billing_app;
-- Only a migration says what the schema is.
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM billing_app;
