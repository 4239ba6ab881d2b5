"""A receiver for the tests of what users ask of their own."""

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from ingest.app import create_app
from ingest.context import open_context
from settings import Settings


@pytest.fixture
def reader(
    seeded: Engine, database_url: str, redis_url: str, configured: Callable[..., Settings]
) -> Iterator[FlaskClient]:
    """A client of a receiver on real engines; `seeded` is the module's own."""
    assert seeded
    found = configured(DATABASE_URL=database_url, REDIS_URL=redis_url, INTAKE="auto")
    opened = open_context(found)
    yield create_app(found, opened=opened).test_client()
    opened.engine.dispose()
    opened.redis.close()
