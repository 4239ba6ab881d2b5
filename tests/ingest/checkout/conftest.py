"""A shop for the tests of checkout and portal."""

from collections.abc import Iterator

import pytest

from ingest.checkout import status
from tests.ingest.shop import Shop, opened, stock, swept
from tests.stripe_checkout import serve


@pytest.fixture(scope="module")
def mall(database_url: str, redis_url: str) -> Iterator[Shop]:
    """One shop for the module."""
    with serve() as stripe, opened(database_url, redis_url, stripe) as found:
        stock(found)
        yield found


@pytest.fixture
def shop(mall: Shop) -> Shop:
    """The same, where nothing has happened yet."""
    return swept(mall)


@pytest.fixture
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer waits for a worker."""
    monkeypatch.setattr(status, "APPLY_SECONDS", 0.0)
