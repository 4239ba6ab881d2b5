"""What tests of the stores share: an empty database and an empty Redis."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from sqlalchemy import Engine

from db.engine import make_engine
from db.queue.stream import EventStream, connect
from tests.pipeline import empty


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database without an event, for two transactions at once."""
    made = make_engine(database_url, pool_size=2)
    empty(made)
    yield made
    made.dispose()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """An empty Redis."""
    with closing(connect(redis_url, timeout_seconds=3.0)) as opened:
        opened.flushdb()
        yield opened


@pytest.fixture
def stream(client: redis.Redis) -> EventStream:
    """A stream without an entry, whose consumer group is there."""
    made = EventStream(client)
    made.create_group()
    return made
