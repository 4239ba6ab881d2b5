"""What most tests of the workers start from: a worker's ports, on tables with nothing in them."""

from collections.abc import Iterator

import pytest
import redis

from db.queue.stream import connect
from tests.pipeline import a_worker_context, empty, sell
from tests.play import CATALOGUE
from workers.context import WorkerContext


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports on a database that sells the test catalogue."""
    context = a_worker_context(database_url, redis_url)
    sell(context.engine, CATALOGUE)
    yield context
    context.engine.dispose()


@pytest.fixture(scope="module")
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the tests' own, on the Redis of the worker."""
    client = connect(redis_url)
    yield client
    client.close()


@pytest.fixture
def context(shop: WorkerContext, redis_client: redis.Redis) -> WorkerContext:
    """The same, with nothing in it."""
    empty(shop.engine)
    redis_client.flushdb()
    return shop
