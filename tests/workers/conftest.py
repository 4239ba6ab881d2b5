"""What most tests of the workers start from: a worker's ports, on tables with nothing in them."""

from collections.abc import Iterator

import pytest

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


@pytest.fixture
def context(shop: WorkerContext) -> WorkerContext:
    """The same, with nothing in it."""
    empty(shop.engine)
    shop.events._client.flushdb()
    return shop
