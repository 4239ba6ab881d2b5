"""What a terminal shows of events: a line each, and one line of many."""

import re
from collections.abc import Callable, Iterator

import psycopg2
import pytest

from dev.up import happenings
from dev.up.happenings import Happenings
from tests.pipeline import a_worker_context, empty, sell, work
from tests.play import CATALOGUE
from tests.stripe_objects import a_customer, a_session, an_event
from workers.context import WorkerContext


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports, with something to sell."""
    context = a_worker_context(database_url, redis_url)
    empty(context.engine)
    sell(context.engine, CATALOGUE)
    yield context
    context.engine.dispose()


@pytest.fixture
def look(shop: WorkerContext, database_url: str) -> Iterator[Callable[[], list[str]]]:
    """Looks once; answers with what was told, without colours."""
    empty(shop.engine)
    told: list[str] = []
    seen = Happenings(told.append)
    connection = psycopg2.connect(database_url.replace("+psycopg2", ""))

    def once() -> list[str]:
        told.clear()
        with connection:
            seen.look(connection)
        return [re.sub(r"\x1b\[\d+m|^\d\d:\d\d ", "", line) for line in told]

    yield once
    connection.close()


def a_purchase(number: int) -> dict[str, object]:
    """A paid package of 1,000 tokens."""
    session = a_session(
        id=f"cs_{number}",
        payment_intent=f"pi_{number}",
        customer=None,
        client_reference_id=f"user_{number}",
        metadata={"user_id": f"user_{number}", "plan_id": "4"},
    )
    return an_event("checkout.session.completed", session)


def test_each_event_is_a_short_line(shop: WorkerContext, look: Callable[[], list[str]]) -> None:
    """With its user and its tokens; what was there before, and what is ignored, is not told."""
    work(shop, [an_event("customer.created", a_customer())])
    assert look() == []
    work(shop, [a_purchase(1), an_event("price.created", {"id": "price_1", "object": "price"})])
    (line,) = look()
    assert re.fullmatch(r"checkout\.session\.completed user_1 \+[\d,]+", line)
    assert look() == []


def test_many_at_once_are_one_line_when_it_is_over(
    shop: WorkerContext, look: Callable[[], list[str]]
) -> None:
    """The terminal stays calm, and what is told is counted."""
    look()
    number = happenings.LINES_MAX + 8
    work(shop, [a_purchase(each) for each in range(number)])
    assert look() == []
    (line,) = look()
    assert re.fullmatch(rf"{number} events, {number} users \+[\d,]+", line)
    assert look() == []


def test_an_entry_without_an_event_has_a_line_of_its_own(
    shop: WorkerContext, look: Callable[[], list[str]]
) -> None:
    """Such as a debit."""
    work(shop, [a_purchase(1)])
    look()
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO ledger_entries"
            " (user_id, delta, kind, balance_after, reason, idempotency_key)"
            " VALUES ('user_1', -7, 'debit', 3, 'an image', 'k')"
        )
    assert look() == ["debit user_1 -7"]
