"""`up` on machines that are not as it wishes: it works, or one line says what is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from dev.up.ports import free_port
from tests.conftest import Engines
from tests.test_proxies import NAMES, PROXY

MANAGE = (sys.executable, str(Path(__file__).resolve().parents[3] / "manage.py"))
NEWER = "9999"


def refused(directory: Path, **variables: str) -> str:
    """The one line that `up` ends with in a directory."""
    result = subprocess.run(
        [*MANAGE, "up", "--data", str(directory / "data"), "--port", str(free_port())],
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    [line] = result.stderr.splitlines()
    return line


def environment_with_proxy() -> Mapping[str, str]:
    """An environment that sends everything to a proxy which does not answer."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in NAMES}
    return kept | {name: PROXY for name in NAMES if name != "NO_PROXY"}


def test_a_proxy_is_asked_for_nothing_of_this_machine(tmp_path: Path) -> None:
    """`up` sells at its own Stripe, and `doctor` finds nothing to blame."""
    command = [*MANAGE, "up", "--data", str(tmp_path / "data"), "--port", str(free_port())]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment_with_proxy(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("Ready"):
                    break
            doctor = subprocess.run(
                [*MANAGE, "doctor", "--json", "--data", str(tmp_path / "data")],
                cwd=tmp_path,
                env=environment_with_proxy(),
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            process.terminate()
            rest, _ = process.communicate()
    told = "".join(said) + rest
    assert process.returncode == 0, told
    assert "told the offline Stripe what is on sale" in told
    assert "Traceback" not in told
    findings = {found["subject"]: found for found in map(json.loads, doctor.stdout.splitlines())}
    assert findings["webhook"]["level"] == "ok", doctor.stdout
    assert "stripe" not in findings


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Before anything is started."""
    (tmp_path / ".env").write_bytes(b"JWT_SECRET=\xff\xfe")
    assert ".env cannot be read: it is not UTF-8 text" in refused(tmp_path)


def test_a_spoiled_password_file_is_named(tmp_path: Path) -> None:
    """Whose data nobody could reach any more."""
    (tmp_path / "data" / "postgres").mkdir(parents=True)
    (tmp_path / "data" / "postgres.json").write_text('{"port": 5')
    assert "postgres.json is spoiled; put back" in refused(tmp_path)


@pytest.mark.parametrize(
    ("variable", "url", "says"),
    [
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "does not answer"),
        ("REDIS_URL", "redis://127.0.0.1:1/0", "does not answer"),
        ("REDIS_URL", "redis://127.0.0.1:1/0?socket_timeout=soon", "REDIS_URL is wrong"),
    ],
)
def test_a_server_that_cannot_be_had_is_named(
    variable: str, url: str, says: str, tmp_path: Path
) -> None:
    """By the variable that names it."""
    told = refused(tmp_path, **{variable: url})
    assert variable in told
    assert says in told


def test_a_database_of_newer_code_is_told(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """As after a step back in the project's history."""
    url = database_url.replace("+psycopg2", "", 1)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = %s", (NEWER,))
    told = refused(tmp_path, DATABASE_URL=url, REDIS_URL=redis_url)
    assert "the database was made by other code than this" in told
    assert NEWER in told


def test_a_database_that_may_not_be_changed_is_told(
    engines: Engines, redis_url: str, tmp_path: Path
) -> None:
    """A user who may look and not touch."""
    name = f"closed_{os.getpid()}"
    engines.administer(f'CREATE DATABASE "{name}"')
    engines.administer(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    try:
        url = engines.database_url_of(name).replace("+psycopg2", "", 1)
        scheme, _, place = url.partition("://")
        mine = f"{scheme}://{name}:x@{place.rpartition('@')[2]}"
        told = refused(tmp_path, DATABASE_URL=mine, REDIS_URL=redis_url)
    finally:
        engines.administer(f'DROP DATABASE "{name}" WITH (FORCE)')
        engines.administer(f"DROP ROLE {name}")
    assert "the database cannot be migrated: permission denied" in told
