"""A request's id goes with its event into the stream, so two logs can be laid side by side."""

import pytest
from flask.testing import FlaskClient

from db.queue.stream import STREAM, EventStream
from tests.ingest.builders import a_body, a_signature
from tests.ingest.conftest import WAYS, Stores

PATH = "/billing/stripe/webhook/"


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Everything here holds for both ways in."""
    taken: str = request.param
    return taken


def test_the_request_that_brought_an_event_is_named_with_it(
    client: FlaskClient, stores: Stores
) -> None:
    """The id that the answer carries is the one that a worker logs."""
    body = a_body()
    answer = client.post(PATH, data=body, headers=a_signature(body) | {"X-Request-Id": "abc-1"})
    assert answer.headers["X-Request-Id"] == "abc-1"
    events = EventStream(stores.redis)
    events.create_group()
    assert [entry.delivery.request_id for entry in events.read("test", 10)] == ["abc-1"]


def test_an_entry_from_before_requests_were_named_is_read(stores: Stores) -> None:
    """A deploy finds entries of the version before in the stream."""
    stores.redis.xadd(
        STREAM, {"v": "1", "id": "evt_1", "type": "x", "created": 1, "ms": 2, "body": b"-"}
    )
    events = EventStream(stores.redis)
    events.create_group()
    [entry] = events.read("test", 10)
    assert (entry.delivery.event_id, entry.delivery.request_id) == ("evt_1", "")
