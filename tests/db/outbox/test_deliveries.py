"""Leases of a destination's users: as many as asked for, and nobody's twice."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from db.engine import make_engine
from db.outbox import deliveries, destinations, messages
from db.outbox.messages import Message, MessageType
from tests.pipeline import empty

USERS = 20


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with one destination and a message for each of some users."""
    made = make_engine(database_url)
    empty(made)
    with made.begin() as connection:
        destinations.add(connection, "dest_1", "https://app.example", "whsec_x", ())
        messages.write(
            connection,
            [Message(f"u{number:02}", MessageType.TOKENS_CHANGED, {}) for number in range(USERS)],
        )
    yield made
    made.dispose()


def plan_by_loops(connection: Connection) -> None:
    """Have PostgreSQL choose the plan that runs the inner side once for each row of the outer."""
    for setting in ("hashjoin", "mergejoin", "material", "memoize", "hashagg", "sort"):
        connection.execute(text(f"SET LOCAL enable_{setting} = off"))


def test_no_plan_takes_more_than_was_asked_for(engine: Engine) -> None:
    """A subquery with a limit, run once a row, would lease every user."""
    with engine.begin() as connection:
        plan_by_loops(connection)
        assert [deliveries.assign(connection, limit=8) for _ in range(4)] == [8, 8, 4, 0]
    with engine.begin() as connection:
        plan_by_loops(connection)
        taken = [deliveries.lease(connection, "dest_1", limit=limit) for limit in (1, 8, USERS)]
        assert [len(leased) for leased in taken] == [1, 8, USERS - 9]


def test_who_is_being_told_is_not_woken_when_the_destination_is_back(engine: Engine) -> None:
    """Those with a long pause are; somebody tells the leased ones at this moment."""
    with engine.begin() as connection:
        deliveries.assign(connection)
        for_long, shortly = deliveries.lease(connection, "dest_1", limit=2)
        deliveries.failed(connection, "dest_1", for_long.user_id, 0, 3_000.0)
        deliveries.failed(connection, "dest_1", shortly.user_id, 0, 0.0)
    with engine.begin() as connection:
        assert len(deliveries.lease(connection, "dest_1", limit=USERS)) == USERS - 1
    with engine.begin() as connection:
        destinations.succeeded(connection, "dest_1", was_away=True)
    with engine.begin() as connection:
        woken = deliveries.lease(connection, "dest_1", limit=USERS)
        assert [leased.user_id for leased in woken] == [for_long.user_id]
