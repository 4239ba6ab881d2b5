-- Whom the tables belong to, and the database; run as the superuser, any number of times:
--
--     PGOPTIONS="-c billing.owner_password=…" psql -v ON_ERROR_STOP=1 -f deploy/ha/owner.sql
--
-- The PostgreSQL image does this by itself where it starts alone; Patroni starts an empty one.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'billing_owner') THEN
        CREATE ROLE billing_owner;
    END IF;
    EXECUTE format(
        'ALTER ROLE billing_owner LOGIN NOSUPERUSER PASSWORD %L',
        current_setting('billing.owner_password')
    );
END
$$;

-- No database can be made inside a block.
SELECT 'CREATE DATABASE billing OWNER billing_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'billing')
\gexec
