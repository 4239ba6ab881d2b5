"""Behind a real PgBouncer in transaction mode: everything works, and the limits are in force."""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

import settings
from db.connections import limits
from db.engine import make_engine
from dev.up.ports import free_port
from tests.conftest import Engines
from tests.contracts.test_app_role import as_app, grant

PGBOUNCER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"

pytestmark = pytest.mark.skipif(
    not Path(PGBOUNCER).exists(), reason="there is no pgbouncer on this machine"
)


def start(directory: Path, database_url: str, password: str, port: int) -> subprocess.Popen[bytes]:
    """A PgBouncer before the server of this database, for the product's role."""
    server = urlsplit(database_url)
    (directory / "users.txt").write_text(f'"billing_app" "{password}"\n', encoding="utf-8")
    (directory / "pgbouncer.ini").write_text(
        f"""
        [databases]
        * = host={server.hostname} port={server.port}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = scram-sha-256
        auth_file = {directory / "users.txt"}
        pool_mode = transaction
        default_pool_size = 4
        """.replace("\n        ", "\n"),
        encoding="utf-8",
    )
    command = [PGBOUNCER, "--quiet", str(directory / "pgbouncer.ini")]
    if os.geteuid() == 0:
        # It refuses to be root.
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, "nobody")
        command += ["--user", "nobody"]
    return subprocess.Popen(command)


@pytest.fixture(scope="module")
def pooled_url(
    engines: Engines, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The database as the product's role reaches it through the pooler."""
    password, port = secrets.token_hex(16), free_port()
    directory = tmp_path_factory.mktemp("pgbouncer")
    for above in directory.parents[:2]:
        above.chmod(0o711)
    # Roles belong to all databases of the server, and other test processes may be at it too.
    with closing(psycopg2.connect(engines.maintenance_url)) as connection:
        connection.cursor().execute("SELECT pg_advisory_lock(1)")
        grant(database_url, password)
        process = start(directory, database_url, password, port)
        url = urlsplit(as_app(database_url, password))
        pooled = url._replace(netloc=f"billing_app:{password}@127.0.0.1:{port}").geturl()
        try:
            _await(pooled)
            yield pooled
        finally:
            process.terminate()
            process.wait(10)


def _await(url: str) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            psycopg2.connect(url.replace("+psycopg2", "", 1)).close()
        except psycopg2.OperationalError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def configured(url: str, *, pooler: bool) -> settings.Settings:
    """Settings that know of the pooler, or do not."""
    return settings.load(environ={"DATABASE_URL": url, "DATABASE_POOLER": str(pooler)})


def test_the_roles_limits_are_in_force(pooled_url: str) -> None:
    """Also in the second session of several; a command may still take longer."""
    engine = make_engine(configured(pooled_url, pooler=True))
    with engine.connect() as one, engine.connect() as other:
        assert limits.differing(one) == limits.differing(other) == {}
        assert one.execute(text("SELECT current_user")).scalar_one() == "billing_app"
    engine.dispose()
    long = make_engine(configured(pooled_url, pooler=True), statement_timeout_ms=60_000)
    with long.connect() as connection:
        assert limits.differing(connection) == {"statement_timeout": "60000"}
    with engine.connect() as connection:
        assert limits.differing(connection) == {}
    long.dispose()
    engine.dispose()


def test_a_session_that_asks_for_limits_itself_is_refused(pooled_url: str) -> None:
    """So the setting cannot be forgotten without being noticed."""
    engine = make_engine(configured(pooled_url, pooler=False))
    with pytest.raises(OperationalError, match="unsupported startup parameter"):
        engine.connect()


def test_without_the_roles_limits_the_difference_is_named(database_url: str) -> None:
    """Whoever connects as another role than `deploy/app_role.sql` makes."""
    with create_engine(database_url).connect() as connection:
        assert set(limits.differing(connection)) >= {"statement_timeout", "lock_timeout"}
