"""The whole under load: three orders of arrival, duplicates, concurrency, and identical tables.

Events of 200 simulated customers go over HTTP to a real server on this machine, while two workers
drain at the same time.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.ledger import locks
from sandbox.simulate.delivery import Delivery
from sandbox.simulate.engine import Event
from sandbox.simulate.plans import SAMPLE_PLANS
from tests.end_tables import rows_of
from tests.flows.lives import events_of_lives
from tests.ingest.builders import SECRET
from tests.installation import installation
from tests.pipeline import a_delivery, a_worker_context, balances, empty, empty_redis
from tests.stripe_objects import a_refund, a_session, an_event
from workers.commands.catalogue import load_file
from workers.context import WorkerContext
from workers.pipeline.apply import apply, prepare
from workers.pipeline.drain import drain

CUSTOMERS = 200
DUPLICATES = 0.3
LANES = 8
SETTLE_SECONDS_MAX = 60

# Everything that must not depend on the order; what tells of the way there is left out.
TABLES = {
    "customers": "id, user_id, claimed_created, claimed_event_id, other_user_ids, deleted_at",
    "subscriptions": "id, customer_id, user_id, claimed_plan_id, status, items,"
    " cancel_at_period_end, cancel_at, canceled_at, trial_end, started_at, undecided",
    "payments": "id, kind, root_id, customer_id, subscription_id, facts, listed, user_id, status,"
    " currency, amount_minor, refunded_minor, disputed_minor, plan_id, plan_version, tokens,"
    " lacks_user, lacks_plan, receipt_url, created_at",
    "refunds": "*",
    "disputes": "*",
    "webhook_events": "id, type, status, object_id, customer_id, user_id",
}


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """A year of 200 customers, in the order it happened."""
    lives = events_of_lives(20_261_123, "storm", customers=CUSTOMERS)
    return sorted(lives, key=lambda event: (event.created, event.id))


@pytest.fixture(scope="module")
def context(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports on the sample catalogue."""
    load_file(database_url, SAMPLE_PLANS)
    found = a_worker_context(database_url, redis_url)
    yield found
    found.engine.dispose()


@contextmanager
def workers(database_url: str, redis_url: str, number: int = 2) -> Iterator[None]:
    """Workers that drain at the same time until the block ends."""
    stop = Flag()

    def run(name: str) -> None:
        own = a_worker_context(database_url, redis_url, consumer=name)
        while not stop.is_set():
            drain(own, lambda: None)
            stop.wait(0.01)
        own.engine.dispose()

    threads = [Thread(target=run, args=(f"storm-{each}",)) for each in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def with_duplicates(events: Sequence[Event], chance: random.Random) -> list[Event]:
    """Each event, and some of them again a little later."""
    found: list[Event] = []
    for event in events:
        found.extend([event] * (1 + (chance.random() < DUPLICATES)))
    return found


def tables(engine: Engine) -> dict[str, set[str]]:
    """Every row of every table, as text."""
    return rows_of(engine, TABLES)


def settle(engine: Engine, number: int) -> None:
    """Wait until so many events are in the inbox, none of them waiting."""
    finished = "SELECT count(*) FROM webhook_events WHERE status IN ('applied', 'ignored')"
    wait_for_count(engine, finished, number, SETTLE_SECONDS_MAX)


def wait_for_count(engine: Engine, query: str, number: int, seconds_max: float) -> None:
    """Wait until the query counts so many; fail when it does not in time."""
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.execute(text(query)).scalar_one() == number:
                return
        time.sleep(0.01)
    pytest.fail(f"in {seconds_max} s it was never {number}: {query}")


@pytest.mark.timeout(300)
def test_three_orders_of_two_hundred_customers_end_in_identical_tables(
    events: list[Event],
    context: WorkerContext,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> None:
    """In order, shuffled and reversed; 30 % duplicates; one event sent 50 times at once."""
    chance = random.Random(7)  # noqa: S311 - an order, no secret.
    orders: dict[str, Callable[[list[Event]], list[Event]]] = {
        "in order": list,
        "shuffled": lambda found: chance.sample(found, len(found)),
        "reversed": lambda found: found[::-1],
    }
    ends = {}
    with installation(database_url, redis_url, tmp_path) as receiver:
        receiver.deploy(SECRET)
        for name, order in orders.items():
            empty(context.engine)
            empty_redis(redis_url)
            sent = order(with_duplicates(events, chance))
            with workers(database_url, redis_url):
                # Fifty lanes carry the same event at once, eight more everything else.
                lanes = [[events[0]]] * 50 + [sent[lane::LANES] for lane in range(LANES)]
                delivery = Delivery(f"http://127.0.0.1:{receiver.port}", SECRET)
                delivered = delivery.send(lanes, len(events), lambda _accepted: None)
                assert delivered.accepted == len(sent) + 50
                settle(context.engine, len(events))
            ends[name] = tables(context.engine)
    for name in orders:
        for table, rows in ends["in order"].items():
            assert ends[name][table] == rows, f"{name}: {table} differs"
    assert len(ends["in order"]["payments"]) > CUSTOMERS
    assert len(ends["in order"]["ledger"]) > CUSTOMERS


@pytest.fixture
def pair(
    context: WorkerContext, database_url: str, redis_url: str
) -> Iterator[list[WorkerContext]]:
    """Two workers beside the first, where nothing has happened yet."""
    empty(context.engine)
    found = [a_worker_context(database_url, redis_url, consumer=str(side)) for side in range(2)]
    yield found
    for each in found:
        each.engine.dispose()


RACES = 10_000
RACE_BATCH = 100
# A transaction of a race has one event to so many, drawn anew each time.
LOT_MAX = 7


@pytest.mark.timeout(600)
def test_ten_thousand_races_of_a_grant_and_its_refund_lose_none(
    context: WorkerContext, pair: list[WorkerContext]
) -> None:
    """Two workers on one customer at the same moment, each with one side of the same payments.

    What lies in one transaction on one side lies in several on the other, and may be one alone.
    """
    chances = [random.Random(side) for side in range(2)]  # noqa: S311 - sizes, no secrets.
    with ThreadPoolExecutor(2) as pool:
        for first in range(0, RACES, RACE_BATCH):
            sides = race_sides(range(first, first + RACE_BATCH))
            list(pool.map(race, pair, sides, chances))
    assert balances(context.engine) == {"racer_0": RACES * 500}


CROWD = 5
CROSSINGS = 40
CROSSING_SECONDS_MAX = 20
# Transactions that wait for a subject.
WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
)


def test_batches_that_meet_the_same_customers_in_other_orders_never_deadlock(
    context: WorkerContext, pair: list[WorkerContext]
) -> None:
    """Both are in the middle of taking locks, held up by a third transaction until they are.

    A batch that PostgreSQL ends because of a deadlock is not tried again here: it fails.
    """
    with ThreadPoolExecutor(2) as pool:
        for number in range(CROSSINGS):
            grants, _ = race_sides(range(number * 2 * CROWD, (number + 1) * 2 * CROWD), CROWD)
            held = f"cus_racer_{number % CROWD}"
            with context.engine.begin() as connection:
                locks.acquire(connection, {held})
                sides = (grants[:CROWD], grants[: CROWD - 1 : -1])
                ends = [pool.submit(cross, *each) for each in zip(pair, sides, strict=True)]
                wait_for_count(context.engine, WAITING, 2, CROSSING_SECONDS_MAX)
            for end in ends:
                end.result(CROSSING_SECONDS_MAX)
    share = CROSSINGS * 2 * 1_000
    assert balances(context.engine) == {f"racer_{number}": share for number in range(CROWD)}


def cross(worker: WorkerContext, events: list[dict[str, Any]]) -> None:
    """Apply the events at once."""
    apply(worker.engine, [prepare(a_delivery(event)) for event in events], worker.catalogue)


def race_sides(numbers: range, racers: int = 1) -> list[list[dict[str, Any]]]:
    """Grants on one side, refunds of half of each on the other, of so many customers in turn."""
    # Plan 4 of the sample catalogue: 1,000 tokens for 5.00, of which half goes back.
    grants, refunds = [], []
    for number in numbers:
        intent, racer = f"pi_{number}", f"racer_{number % racers}"
        session = a_session(
            id=f"cs_{number}",
            payment_intent=intent,
            customer=f"cus_{racer}",
            client_reference_id=racer,
            metadata={"user_id": racer, "plan_id": "4"},
        )
        refund = a_refund(id=f"re_{number}", payment_intent=intent, amount=250, charge=None)
        grants.append(an_event("checkout.session.completed", session))
        refunds.append(an_event("refund.created", refund))
    return [grants, refunds]


def race(worker: WorkerContext, events: list[dict[str, Any]], chance: random.Random) -> None:
    """Apply the events in order, a few at a time, as fast as the other side does."""
    works = [prepare(a_delivery(event)) for event in events]
    while works:
        size = chance.randint(1, LOT_MAX)
        apply(worker.engine, works[:size], worker.catalogue)
        del works[:size]
