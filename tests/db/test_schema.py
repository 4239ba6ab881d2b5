"""The schema: made by migrations, equal to the tables in code, and holding the laws by itself."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from db import migrate
from db.tables import metadata
from tests.conftest import Engines


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """The migrated database of this module."""
    found = create_engine(database_url)
    yield found
    found.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection whose work is undone in the end."""
    with engine.connect() as found:
        yield found
        found.rollback()


# SQLAlchemy 2.1 stumbles over its own words when it reflects a check that is NOT VALID.
@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")
def test_the_migrated_schema_is_the_one_in_code(connection: Connection) -> None:
    """Whoever changes one must change the other."""
    context = MigrationContext.configure(connection, opts={"compare_server_default": False})
    assert compare_metadata(context, metadata) == []


def test_migrations_run_up_down_and_up_again(engines: Engines, database_url: str) -> None:
    """A second `up` is a no-op, and `down` leaves nothing but Alembic's own table."""
    del database_url
    name = "migration_test"
    engines.administer(f'DROP DATABASE IF EXISTS "{name}"')
    engines.administer(f'CREATE DATABASE "{name}"')
    url = engines.database_url_of(name)
    migrate.upgrade(url)
    migrate.upgrade(url)
    migrate.downgrade(url)
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate.upgrade(url)
    assert "ledger_entries" in inspect(engine).get_table_names()
    engine.dispose()
    engines.administer(f'DROP DATABASE "{name}"')


ENTRY = (
    "INSERT INTO ledger_entries (user_id, delta, kind, balance_after, payment_id, reason,"
    " idempotency_key) VALUES ('u', {delta}, '{kind}', {after}, {payment}, 'r', {key})"
)


def entry(kind: str, delta: int, after: int, payment: str = "'in_1'", key: str = "NULL") -> str:
    """An INSERT of a ledger entry."""
    return ENTRY.format(kind=kind, delta=delta, after=after, payment=payment, key=key)


def purchase(**columns: str) -> str:
    """An INSERT of a purchase whose session is not made yet; the columns are SQL."""
    row = {
        "id": "repeat('a', 32)",
        "user_id": "'u'",
        "plan_id": "1",
        "plan_version": "1",
        "currency": "'usd'",
        "amount_minor": "5",
        "mode": "'payment'",
        "fingerprint": "repeat('0', 64)",
        "params": "'{}'",
    } | columns
    return f"INSERT INTO purchases ({', '.join(row)}) VALUES ({', '.join(row.values())})"  # noqa: S608 - all of it is ours.


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET delta = 2",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
    ],
)
def test_the_ledgers_past_cannot_be_changed(connection: Connection, statement: str) -> None:
    """Law 4, by trigger; the message says what to do instead."""
    connection.execute(text(entry("grant", 1, 1)))
    with pytest.raises(DBAPIError, match="append-only: post another entry"):
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        entry("grant", 0, 0),
        entry("grant", -5, -5),
        entry("grant", 5, 5, payment="NULL"),
        entry("reversal", 5, 5),
        entry("gift", 5, 5),
        entry("debit", -5, -5, payment="NULL", key="'k'"),
        entry("debit", -5, 5, payment="NULL"),
        entry("grant", 5, 5).replace(" reason,", " event_id, reason,").replace("'r'", "'', 'r'"),
        (
            "INSERT INTO webhook_events (id, type, created_at, status, body, source)"
            " VALUES ('e', 't', now(), 'received', '', 'webhook')"
        ),
        (
            "INSERT INTO webhook_events (id, type, created_at, status, body, source)"
            " VALUES ('e', 't', now(), 'lost', '', 'webhook')"
        ),
        (
            "INSERT INTO payments (id, kind, root_id, facts, tokens)"
            " VALUES ('pi_1', 'intent', 'in_1', '{}', 5)"
        ),
        (
            "INSERT INTO payments (id, kind, root_id, facts, listed, status)"
            " VALUES ('pi_1', 'intent', 'in_1', '{}', true, 'paid')"
        ),
        "INSERT INTO customers (id, user_id) VALUES ('cus_1', 'u')",
        "INSERT INTO plans (id, version, type, name, tokens) VALUES (1, 1, 'full', 'n', 5)",
        "INSERT INTO buyers (user_id, claim_id) VALUES ('u', 'c')",
        "INSERT INTO buyers (user_id, attempt) VALUES ('u', -1)",
        purchase(id="'1'"),
        purchase(fingerprint="'f'"),
        purchase(currency="'USD'"),
        purchase(amount_minor="-1"),
        purchase(mode="'setup'"),
        purchase(state="'paid'"),
        purchase(state="'complete'"),
        purchase(session_id="'cs_1'"),
        purchase(url="'https://checkout.example'"),
        purchase(asked_at="now()"),
    ],
)
def test_rows_that_break_a_law_are_refused(connection: Connection, statement: str) -> None:
    """What a single row can say wrong, the database does not take."""
    with pytest.raises(DBAPIError, match="violates check constraint"):
        connection.execute(text(statement))


def test_a_stored_body_cannot_be_edited(connection: Connection) -> None:
    """It is what Stripe signed."""
    connection.execute(
        text(
            "INSERT INTO webhook_events (id, type, created_at, status, body, source)"
            " VALUES ('e', 't', now(), 'applied', 'signed', 'webhook')"
        )
    )
    with pytest.raises(DBAPIError, match="is what Stripe signed"):
        connection.execute(text("UPDATE webhook_events SET body = 'other'"))


def test_a_debits_key_is_unique_per_user(connection: Connection) -> None:
    """The same key twice would be a double debit."""
    connection.execute(text(entry("debit", -1, 1, payment="NULL", key="'k'")))
    with pytest.raises(DBAPIError, match="ledger_entries_idempotency_key"):
        connection.execute(text(entry("debit", -1, 0, payment="NULL", key="'k'")))


def test_one_order_has_one_open_purchase(connection: Connection) -> None:
    """A second one would be a second session for the same click."""
    connection.execute(text(purchase()))
    connection.execute(text(purchase(id="repeat('b', 32)", state="'refused'")))
    with pytest.raises(DBAPIError, match="purchases_one_open"):
        connection.execute(text(purchase(id="repeat('c', 32)")))
