"""A server in Stripe's place that lists events."""

from collections.abc import Iterator

import pytest

from tests.stripe_server import StripeServer, serve
from tests.workers.schedule.listed import EVENTS, Listed


@pytest.fixture(scope="module")
def stripe_server() -> Iterator[StripeServer]:
    """One server for the module."""
    with serve() as found:
        yield found


@pytest.fixture
def listed(stripe_server: StripeServer) -> Listed:
    """An empty list."""
    found = Listed()
    stripe_server.status = 200
    stripe_server.answers[EVENTS] = found
    return found
