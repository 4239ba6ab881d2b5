"""The database role of the product: it can do all of its work and cannot alter the past."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dev.up.suppliers import postgres_directory
from domain.events import EventStatus
from tests.conftest import Engines
from tests.pipeline import a_worker_context, balances, sell, statuses, work
from tests.play import CATALOGUE
from tests.stripe_objects import a_session, an_event
from workers.context import WorkerContext

ROLES = Path(__file__).parents[2] / "deploy" / "app_role.sql"
PSQL = postgres_directory() / "psql"


def grant(database_url: str, password: str) -> None:
    """Do what the `roles` step of the compose file does."""
    subprocess.run(
        [
            *(PSQL, "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"),
            *("--file", ROLES, "--dbname", database_url.replace("+psycopg2", "", 1)),
        ],
        env={**os.environ, "PGOPTIONS": f"-c billing.app_password={password}"},
        check=True,
    )


@pytest.fixture(scope="module")
def app(engines: Engines, database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports, connected as the product's own role."""
    owner = a_worker_context(database_url, redis_url)
    sell(owner.engine, CATALOGUE)
    owner.engine.dispose()
    password = secrets.token_hex(16)
    # Roles belong to all databases of the server, and other test processes may be at it too.
    with closing(psycopg2.connect(engines.maintenance_url)) as connection:
        connection.cursor().execute("SELECT pg_advisory_lock(1)")
        grant(database_url, password)
        grant(database_url, password)
        context = a_worker_context(as_app(database_url, password), redis_url)
        with context.engine.connect():
            yield context
    context.engine.dispose()


def as_app(database_url: str, password: str) -> str:
    """The same database, for the product's role."""
    url = urlsplit(database_url)
    return url._replace(netloc=f"billing_app:{password}@{url.hostname}:{url.port}").geturl()


def test_the_role_can_run_the_pipeline(app: WorkerContext) -> None:
    """A sale comes in and its tokens are granted, with no more rights than the role has."""
    paid = an_event("checkout.session.completed", a_session())
    done = work(app, [paid])
    assert (done.applied, done.failed) == (1, 0)
    assert statuses(app.engine) == {paid["id"]: EventStatus.APPLIED.value}
    assert balances(app.engine)["user_1"] > 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET delta = delta + 1",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
        "ALTER TABLE ledger_entries DISABLE TRIGGER ALL",
        "DROP TRIGGER ledger_entries_append_only ON ledger_entries",
        "CREATE TRIGGER t BEFORE INSERT ON ledger_entries EXECUTE FUNCTION refuse_body_rewrite()",
        "CREATE RULE mine AS ON INSERT TO ledger_entries DO INSTEAD NOTHING",
        "DROP TABLE ledger_entries",
        "ALTER FUNCTION refuse_ledger_rewrite() OWNER TO billing_app",
        "DROP FUNCTION refuse_ledger_rewrite() CASCADE",
        "SET session_replication_role = replica",
        "SET ROLE billing",
        "CREATE TABLE mine (id int)",
        "DELETE FROM token_accounts",
        "DELETE FROM purchases",
        "DELETE FROM buyers",
        "DELETE FROM checkout_keys",
        "UPDATE alembic_version SET version_num = 'x'",
    ],
)
def test_the_role_cannot_alter_the_past(app: WorkerContext, statement: str) -> None:
    """Neither an entry, nor what guards the entries, nor its own rights."""
    with pytest.raises(DBAPIError) as refused, app.engine.begin() as connection:
        connection.execute(text(statement))
    assert getattr(refused.value.orig, "pgcode", None) == "42501"  # insufficient_privilege
