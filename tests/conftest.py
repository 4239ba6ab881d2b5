"""Real engines for the tests: one PostgreSQL and one Valkey, with clean databases per module.

And a place of their own: nothing of this machine is seen, nothing outside it is reached.

`manage.py test` starts the engines once and names them in TEST_DATABASE_URL and TEST_REDIS_URL;
where pytest is run by itself they are started here. Nothing here fakes either of them.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis
from hypothesis import is_hypothesis_test

from dev.checks import seclusion
from dev.checks.shared_valkey import shared_valkey
from dev.up.engines import PostgresEngine

# Before any test module is imported, for what those read on import.
seclusion.enter()

REDIS_DATABASES = 64
# What is tested here runs few lines of the measured rooms that no test of their own runs.
UNCOUNTED = ("tests/bench/", "tests/clients/", "tests/flows/", "tests/sandbox/")


@dataclass(frozen=True, slots=True)
class Engines:
    """Where the test engines answer: any database of theirs may be made or emptied."""

    database_url: str
    redis_url: str

    @property
    def maintenance_url(self) -> str:
        """The database that every server has."""
        return _renamed(self.database_url, "postgres")

    def database_url_of(self, name: str) -> str:
        """The URL of one database, as `settings` would spell it."""
        return _renamed(self.database_url, name).replace("postgresql", "postgresql+psycopg2", 1)

    def redis_url_of(self, number: int) -> str:
        """The URL of one logical database."""
        return _renamed(self.redis_url, str(number))

    def administer(self, statement: str) -> None:
        """Run a statement that no transaction may hold, such as CREATE DATABASE."""
        with closing(psycopg2.connect(self.maintenance_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)


def _renamed(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Work in an empty directory, where no `.env` and no `.data` lie.

    Not in the process that only hands the tests to others: it would start those here too, where
    they could not find what they are asked to run.
    """
    config = session.config
    if config.getoption("dist", "no") != "no":
        return
    before = Path.cwd()
    elsewhere = tempfile.TemporaryDirectory(prefix="billing-nowhere-")
    Path(elsewhere.name).chmod(0o711)  # The engines' user works here too, and sees nothing.
    os.chdir(elsewhere.name)

    def back() -> None:
        os.chdir(before)
        elsewhere.cleanup()

    config.add_cleanup(back)


@pytest.fixture(autouse=True)
def nothing_outside() -> Iterator[None]:
    """Fail who tried to leave this machine, also where the refusal was caught and explained."""
    seclusion.attempts.clear()
    yield
    assert seclusion.attempts == [], "a test may reach nothing but this machine"


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """The engines of this run: those that were named, else fresh ones."""
    database_url = os.environ.get("TEST_DATABASE_URL")
    redis_url = os.environ.get("TEST_REDIS_URL")
    with ExitStack() as stack:
        if not (database_url and redis_url):
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="billing-")))
            directory.chmod(0o711)  # The engines' user passes through, and sees nothing.
            # No test of these kills the engine, so the disk need not be waited for.
            postgres = stack.enter_context(PostgresEngine(directory, durable=False))
            valkey = stack.enter_context(shared_valkey(directory))
            database_url, redis_url = database_url or postgres.url, redis_url or valkey.url
        yield Engines(database_url, redis_url)


@pytest.fixture(scope="session")
def worker_number(request: pytest.FixtureRequest) -> int:
    """0 where pytest runs in one process; 1, 2, … in the processes of pytest-xdist."""
    workerinput = getattr(request.config, "workerinput", None)
    return 1 + int(workerinput["workerid"].removeprefix("gw")) if workerinput else 0


@pytest.fixture(scope="session")
def template_database(engines: Engines) -> Iterator[str]:
    """The name of a database that has been migrated and nothing else; copies of it are cheap."""
    from db import migrate  # noqa: PLC0415 - tests without a database need not load the stores.

    name = f"template_{os.getpid()}"
    engines.administer(f'CREATE DATABASE "{name}"')
    migrate.upgrade(engines.database_url_of(name))
    yield name
    engines.administer(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def database_url(
    engines: Engines, template_database: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A migrated, empty database for this module, as `settings.database_url` spells it."""
    name = f"test_{os.getpid()}_{abs(hash(request.node.nodeid)):x}"
    engines.administer(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
    yield engines.database_url_of(name)
    engines.administer(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def redis_url(engines: Engines, worker_number: int) -> str:
    """A logical database of Redis that is this process's own, emptied for this module."""
    url = engines.redis_url_of(worker_number % REDIS_DATABASES)
    with closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
    return url


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a real engine, so that `test_fast` can leave it out, and count few lines.

    Counting lines doubles the time of a test. So none is counted while a property is tried, with
    its hundreds of examples, or a test of `UNCOUNTED`: others run the same lines.
    """
    for item in items:
        is_property = is_hypothesis_test(getattr(item, "obj", None))
        if is_property or item.nodeid.startswith(UNCOUNTED):
            item.add_marker(pytest.mark.no_cover)
        if "engines" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engines)
