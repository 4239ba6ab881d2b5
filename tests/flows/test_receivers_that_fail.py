"""Two receivers that die, hang, answer 500 and forget know in the end what the API says.

Lives go through the pipeline and users spend, while workers tell both receivers and are killed. A
small run of what the fault run does with processes.
"""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

import settings
from db.ledger.catalogue import CatalogueCache
from db.ledger.debits import InsufficientTokensError, debit
from db.outbox import deliveries
from ingest.app import create_app
from retry import Backoff
from sandbox.simulate.engine import Event
from sandbox.simulate.plans import SAMPLE_PLANS
from tests.flows.lives import events_of_lives
from tests.ingest.builders import ENVIRONMENT
from tests.outbox_reader import Heard, heard_of, shown, users
from tests.pipeline import a_delivery, a_worker_context, empty
from tests.receiver import Receiver, receiving
from workers.commands.catalogue import load_file
from workers.context import WorkerContext
from workers.hearing import deliver, destinations
from workers.hearing.deliver import Deliverer
from workers.hearing.sending import Sender
from workers.pipeline.apply import apply, prepare

CUSTOMERS = 40
WORKERS = 2
# A slow machine takes minutes in all, and is never so long without telling somebody something.
STILL_SECONDS_MAX = 60.0


@pytest.fixture(scope="module")
def context(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports on the sample catalogue."""
    load_file(database_url, SAMPLE_PLANS)
    found = a_worker_context(database_url, redis_url)
    empty(found.engine)
    yield found
    found.engine.dispose()


@pytest.fixture(scope="module")
def api(database_url: str, redis_url: str) -> FlaskClient:
    """The API on the same tables."""
    named = {"DATABASE_URL": database_url.replace("+psycopg2", ""), "REDIS_URL": redis_url}
    return create_app(settings.load(environ=ENVIRONMENT | named)).test_client()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses and leases of a blink, so that a run takes seconds and not days."""
    monkeypatch.setattr(deliver, "USER_PAUSES", Backoff(0.02, 0.1))
    monkeypatch.setattr(deliver, "AWAY_PAUSES", Backoff(0.02, 0.1))
    monkeypatch.setattr(deliveries, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(deliver, "RUN_SECONDS", 0.5)
    monkeypatch.setattr(deliver, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(deliver, "IDLE_SECONDS", 0.05)


@contextmanager
def delivering(database_url: str, redis_url: str) -> Iterator[None]:
    """Workers that tell destinations; each is killed every second, and another takes its place."""
    stop = threading.Event()

    async def live() -> None:
        own = a_worker_context(database_url, redis_url)
        deliverer = Deliverer(own.engine, Sender(allow_private=True, timeout_seconds=0.4))
        try:
            await asyncio.wait_for(deliverer.run(), timeout=1.0)
        except TimeoutError:
            await deliverer.close()
        own.engine.dispose()

    def work() -> None:
        while not stop.is_set():
            asyncio.run(live())

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def events() -> list[Event]:
    """Some lives, shuffled."""
    lives = events_of_lives(12, "failing", customers=CUSTOMERS)
    return random.Random(4).sample(lives, len(lives))  # noqa: S311 - an order.


def spend(context: WorkerContext, key: str) -> None:
    """Every fifth user who can spends two tokens."""
    with context.engine.connect() as connection:
        rich = text("SELECT user_id FROM token_accounts WHERE balance > 2 ORDER BY user_id")
        names = connection.execute(rich).scalars().all()[::5]
    for user in names:
        with context.engine.begin() as connection:
            try:
                debit(connection, user, amount=2, reason="a test", idempotency_key=key)
            except InsufficientTokensError:
                continue


def settle(context: WorkerContext) -> None:
    """Wait until no destination is still to be told anything; fail when nothing moves any more."""
    waits = text(
        "SELECT (SELECT count(*) FROM outbox_users WHERE is_pending)"
        " + (SELECT count(*) FROM destination_users WHERE next_attempt_at IS NOT NULL)"
    )
    fewest, moved = None, time.monotonic()
    while time.monotonic() - moved < STILL_SECONDS_MAX:
        with context.engine.connect() as connection:
            left = connection.execute(waits).scalar_one()
        if left == 0:
            return
        if fewest is None or left < fewest:
            fewest, moved = left, time.monotonic()
        time.sleep(0.05)
    pytest.fail(f"{fewest} were not told, and for a minute no more of them were")


def check(context: WorkerContext, api: FlaskClient, receiver: Receiver) -> None:
    """Compare what a receiver knows with what the API says, of everybody."""
    heard = heard_of(receiver.heard)
    for user in users(context.engine) | heard.keys():
        known, truth = heard.get(user, Heard()), shown(api, user)
        assert known.balance == truth.balance, user
        assert known.subscriptions == truth.subscriptions, user
        assert known.payments == truth.payments, user


def in_order(receiver: Receiver) -> None:
    """Of each user, nothing is heard for the first time before what came earlier."""
    newest: dict[str, int] = {}
    for message in receiver.heard:
        known = newest.get(message["user"], 0)
        assert message["version"] <= known + 1, message
        newest[message["user"]] = max(known, message["version"])


@pytest.mark.timeout(300)
def test_two_receivers_that_fail_know_in_the_end_what_the_api_says(
    context: WorkerContext, api: FlaskClient, database_url: str, redis_url: str
) -> None:
    """Whatever they did meanwhile, for every user, in order."""
    chance = random.Random(9)  # noqa: S311 - kinds of trouble.
    with ExitStack() as stack:
        receivers = [stack.enter_context(receiving(hang_seconds=0.6)) for _ in range(2)]
        names = []
        for receiver in receivers:
            name, receiver.secret = destinations.add(
                context.engine, receiver.url, allow_private=True
            )
            names.append(name)
        stack.enter_context(delivering(database_url, redis_url))
        cache, sent = CatalogueCache(), events()
        for start in range(0, len(sent), 60):
            for receiver in receivers:
                receiver.behavior = chance.choice(["well", "well", "die", "hang", "500", "cut"])
            part = [prepare(a_delivery(event.payload)) for event in sent[start : start + 60]]
            apply(context.engine, part, cache)
            spend(context, f"spend {start}")
            time.sleep(0.1)
        for receiver in receivers:
            receiver.behavior = "well"
        settle(context)
        for receiver in receivers:
            in_order(receiver)
            check(context, api, receiver)
        forgetful = receivers[1]
        forgetful.heard.clear()
        destinations.resend(context.engine, names[1], since=None, types=(), user_id=None)
        settle(context)
        in_order(forgetful)
        check(context, api, forgetful)
        told = sum(len(receiver.heard) for receiver in receivers)
        assert sum(receiver.attempts for receiver in receivers) > told, "nothing ever failed"
