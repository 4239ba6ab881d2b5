"""What a newer release wrote is left for a worker of that release, on real engines."""

from collections.abc import Iterator

import pytest
import zstandard
from sqlalchemy import text

import metrics
from db import bodies
from db.queue import inbox
from dev.checks.dictionary import simulated
from tests.pipeline import a_delivery, put, statuses
from tests.stripe_objects import a_subscription, an_event
from workers.context import WorkerContext
from workers.pipeline.drain import drain
from workers.pipeline.report import Drained

NUMBER = 40_000


@pytest.fixture(scope="module")
def dictionary() -> zstandard.ZstdCompressionDict:
    """The dictionary that a later release brings."""
    return zstandard.train_dictionary(4_096, [*simulated(seed=3)[:300]], dict_id=NUMBER)


@pytest.fixture
def newer(
    dictionary: zstandard.ZstdCompressionDict, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """Inside, this process is of the later release; `undo` makes it today's."""
    monkeypatch.setattr(bodies, "_DICTIONARIES", {**bodies._DICTIONARIES, NUMBER: dictionary})
    monkeypatch.setattr(bodies, "_thread", bodies._Thread())
    bodies.write_with(NUMBER)
    yield monkeypatch
    bodies.write_with(bodies.OLDEST)


def older(newer: pytest.MonkeyPatch) -> None:
    """From now on this process is of today's release."""
    newer.undo()
    bodies.write_with(bodies.OLDEST)


def due(context: WorkerContext) -> None:
    """Let everything that waits be due now."""
    with context.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE webhook_events SET next_attempt_at = now()"
                " WHERE next_attempt_at IS NOT NULL"
            )
        )


def attempts(context: WorkerContext) -> tuple[int, int]:
    """How many attempts are counted on events, and how many have a row of their own."""
    with context.engine.connect() as connection:
        counted = connection.execute(text("SELECT sum(attempts) FROM webhook_events")).scalar_one()
        noted = connection.execute(text("SELECT count(*) FROM event_attempts")).scalar_one()
    return int(counted), int(noted)


def drained(context: WorkerContext) -> Drained:
    """One drain."""
    return drain(context, lambda: None)


def subscription(event_id: str, created: int) -> dict[str, object]:
    """An event about the one subscription of these tests."""
    about = a_subscription()
    return an_event("customer.subscription.updated", about, event_id=event_id, created=created)


def product(event_id: str) -> dict[str, object]:
    """An event that needs no row."""
    return an_event("product.created", {"id": "prod_1"}, event_id=event_id)


def test_an_event_that_cannot_be_read_waits_and_is_applied_by_the_newer(
    context: WorkerContext, newer: pytest.MonkeyPatch
) -> None:
    """However often an older worker meets it; the others of its batch are applied."""
    theirs = a_delivery(subscription("evt_theirs", 1_700_000_000))
    older(newer)
    context.events.put(theirs)
    put(context, [product("evt_ours")])
    before = left_so_far()
    assert drained(context).left == 1
    for _ in range(8):
        due(context)
        assert drained(context).failed == 0
    assert statuses(context.engine) == {"evt_theirs": "received", "evt_ours": "ignored"}
    assert attempts(context) == (1, 0)
    assert left_so_far() - before == 9
    assert context.events.length() == 0
    with context.engine.connect() as connection:
        assert inbox.left_for_newer(connection) == 1


def test_a_row_that_cannot_be_read_leaves_its_event_and_no_other(
    context: WorkerContext, newer: pytest.MonkeyPatch, dictionary: zstandard.ZstdCompressionDict
) -> None:
    """The newer release applied an event of this subscription before."""
    put(context, [subscription("evt_1", 1_700_000_000)])
    assert drained(context).applied == 1
    older(newer)
    put(context, [subscription("evt_2", 1_700_000_100)])
    put(context, [product(f"evt_{number}") for number in range(3, 9)])
    done = drained(context)
    assert (done.left, done.ignored, done.failed) == (1, 6, 0)
    assert attempts(context) == (7, 0)
    newer.setattr(bodies, "_DICTIONARIES", {**bodies._DICTIONARIES, NUMBER: dictionary})
    newer.setattr(bodies, "_thread", bodies._Thread())
    due(context)
    assert drained(context).applied == 1
    assert statuses(context.engine)["evt_2"] == "applied"
    with context.engine.connect() as connection:
        row = connection.execute(text("SELECT note, error FROM webhook_events WHERE id = 'evt_2'"))
        assert tuple(row.one()) == (None, None)


def test_nothing_waits_twice_in_one_drain(
    context: WorkerContext, newer: pytest.MonkeyPatch
) -> None:
    """A drain ends although what it left is still there."""
    deliveries = [a_delivery(subscription(f"evt_{n}", 1_700_000_000 + n)) for n in range(40)]
    older(newer)
    for delivery in deliveries:
        context.events.put(delivery)
    done = drained(context)
    assert (done.left, done.batches) == (40, 1)


def left_so_far() -> float:
    """What this process has counted as left."""
    lines = metrics.exposition().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("billing_events_left_"))
