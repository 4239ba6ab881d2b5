"""What is told is what was committed: at every moment the messages add up to what the API says."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

import settings
from db.ledger import locks, unit_of_work
from db.ledger.catalogue import CatalogueCache
from db.ledger.debits import debit
from db.outbox.messages import Written
from db.queue.attempts import Request
from domain.decode import decode, parse
from ingest.app import create_app
from sandbox.simulate.engine import Event
from sandbox.simulate.plans import SAMPLE_PLANS
from tests.flows.lives import events_of_lives
from tests.ingest.builders import ENVIRONMENT
from tests.outbox_reader import Heard, heard_of, shown, users
from tests.pipeline import a_delivery, a_worker_context, empty
from workers.commands.catalogue import load_file
from workers.context import WorkerContext
from workers.operations import by_hand
from workers.operations.rebuild import Steps, rebuild
from workers.pipeline.apply import apply, prepare
from workers.schedule.access import look_at_due

CUSTOMERS = 40


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports on the sample catalogue."""
    load_file(database_url, SAMPLE_PLANS)
    found = a_worker_context(database_url, redis_url)
    yield found
    found.engine.dispose()


@pytest.fixture
def context(shop: WorkerContext) -> WorkerContext:
    """The same, with nothing in it."""
    empty(shop.engine)
    return shop


@pytest.fixture(scope="module")
def api(database_url: str, redis_url: str) -> FlaskClient:
    """The API on the same tables."""
    named = {"DATABASE_URL": database_url.replace("+psycopg2", ""), "REDIS_URL": redis_url}
    return create_app(settings.load(environ=ENVIRONMENT | named)).test_client()


def events_of(seed: int) -> list[Event]:
    """Some lives, in the order in which they happened."""
    lives = events_of_lives(seed, "told", customers=CUSTOMERS)
    return sorted(lives, key=lambda event: (event.created, event.id))


def messages(engine: Engine) -> list[dict[str, Any]]:
    """The whole outbox, as it is told, in no order of users."""
    query = text("SELECT user_id, version, type, data, created_at FROM outbox ORDER BY version")
    with engine.connect() as connection:
        rows = connection.execute(query).mappings()
        return [orjson.loads(orjson.dumps(Written(**row).as_json())) for row in rows]


def check(context: WorkerContext, api: FlaskClient) -> None:
    """Compare what was told with what is shown, of everybody; versions leave nothing out."""
    told = messages(context.engine)
    versions: dict[str, list[int]] = {}
    for message in told:
        versions.setdefault(message["user"], []).append(message["version"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in versions.values())
    heard = heard_of(told)
    for user in users(context.engine) | heard.keys():
        known, truth = heard.get(user, Heard()), shown(api, user)
        # As JSON of other field orders, the same.
        assert known.balance == truth.balance, user
        assert known.subscriptions == truth.subscriptions, user
        assert known.payments == truth.payments, user
        assert known.access == truth.access, user


@pytest.mark.timeout(300)
@pytest.mark.parametrize("order", ["in order", "shuffled", "reversed"])
def test_at_every_moment_the_messages_add_up_to_what_the_api_says(
    context: WorkerContext, api: FlaskClient, order: str
) -> None:
    """Lives in batches of any size, with duplicates and debits in between."""
    chance = random.Random(order)  # noqa: S311 - an order, no secret.
    events = events_of(11)
    sent = events + chance.sample(events, len(events) // 5)
    if order == "shuffled":
        chance.shuffle(sent)
    elif order == "reversed":
        sent.reverse()
    cache = CatalogueCache()
    at = 0
    while at < len(sent):
        size = chance.choice([1, 5, 40, 150])
        batch = {event.id: event for event in sent[at : at + size]}
        at += size
        apply(
            context.engine,
            [prepare(a_delivery(event.payload)) for event in batch.values()],
            cache,
        )
        rich = [
            user
            for user, heard in heard_of(messages(context.engine)).items()
            if heard.balance and heard.balance["balance"] > 3
        ]
        for user in rich[:2]:
            with context.engine.begin() as connection:
                debit(connection, user, amount=3, reason="a test", idempotency_key=f"{at}")
        check(context, api)
    told = messages(context.engine)
    kinds = {message["type"] for message in told}
    assert kinds >= {"tokens.changed", "subscription.changed", "access.changed", "payment.paid"}
    for message in told:
        if message["type"].startswith("payment.") and "status" in message["data"]:
            assert message["data"]["status"].endswith(message["type"].removeprefix("payment."))


def test_what_a_person_changes_is_told_to_both(context: WorkerContext, api: FlaskClient) -> None:
    """A payment given to another user is removed for the first; an adjustment is told."""
    for event in events_of(5):
        apply(context.engine, [prepare(a_delivery(event.payload))], CatalogueCache())
    with context.engine.connect() as connection:
        payments = text("SELECT id FROM payments WHERE listed AND status = 'paid' ORDER BY id")
        first, second = connection.execute(payments).scalars().all()[:2]
    who = Request("somebody", "a test")
    by_hand.assign(context.engine, first, who, by_hand.new_number(), user_id="another")
    check(context, api)
    by_hand.assign(context.engine, second, who, by_hand.new_number(), user_id="another")
    by_hand.adjust(context.engine, "another", 7, who, by_hand.new_number(), allow_debt=False)
    check(context, api)
    told = [message for message in messages(context.engine) if message["data"].get("removed")]
    assert {message["data"]["id"] for message in told} >= {first, second}


def test_a_catalogue_that_comes_late_is_told(
    context: WorkerContext, api: FlaskClient, tmp_path: Path
) -> None:
    """Plans that are bound to prices already sold change what subscriptions are shown as."""
    for event in events_of(6):
        apply(context.engine, [prepare(a_delivery(event.payload))], CatalogueCache())
    with context.engine.connect() as connection:
        prices = text(
            "SELECT item ->> 'price_id' FROM subscriptions, jsonb_array_elements(items) AS item"
            " WHERE NOT EXISTS (SELECT FROM stripe_prices WHERE id = item ->> 'price_id')"
        )
        unknown = sorted({price for price in connection.execute(prices).scalars() if price})
    assert unknown
    later = tmp_path / "plans.toml"
    plan = SAMPLE_PLANS.read_text("utf-8") + (
        '\n[[plans]]\nid = 99\ntype = "full"\nname = "Late"\ndescription = ""\ntokens = 5\n'
        'interval = "month"\nprices = { usd = 100 }\n'
        f'stripe_price_ids = {{ usd = "{unknown[0]}" }}\n'
    )
    later.write_text(plan, encoding="utf-8")
    load_file(context.engine.url.render_as_string(hide_password=False), later)
    look_at_due(context)
    check(context, api)
    plans = {
        message["data"].get("plan_id")
        for message in messages(context.engine)
        if message["type"] == "subscription.changed"
    }
    assert 99 in plans


def test_a_rebuild_tells_what_it_mends(context: WorkerContext, api: FlaskClient) -> None:
    """Whoever had heard something wrong hears what is right."""
    for event in events_of(5):
        apply(context.engine, [prepare(a_delivery(event.payload))], CatalogueCache())
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE subscriptions SET status = 'unpaid'"))
        connection.execute(text("UPDATE payments SET note = 'wrong' WHERE listed"))
        connection.execute(text("UPDATE token_accounts SET balance = balance + 1"))
        connection.execute(text("DELETE FROM outbox"))
        connection.execute(text("DELETE FROM outbox_users"))
    steps = Steps(lambda *_: None, lambda *_: None, lambda _: True)
    assert rebuild(context.engine, steps).is_done
    heard = heard_of(messages(context.engine))
    for user, known in heard.items():
        truth = shown(api, user)
        assert known.balance == truth.balance
        assert known.subscriptions.items() <= truth.subscriptions.items()
        assert known.payments == truth.payments
    assert any(known.subscriptions for known in heard.values())


def test_what_is_rolled_back_is_told_to_nobody(context: WorkerContext) -> None:
    """A batch that fails after everything was written leaves no message and no number."""
    events = [event.payload for event in events_of(3)][:60]
    works = [prepare(a_delivery(event)) for event in events]

    def refuse(*_: object) -> None:
        raise SQLAlchemyError("no")

    with pytest.raises(SQLAlchemyError):
        apply(context.engine, works, CatalogueCache(), check=refuse)
    assert messages(context.engine) == []
    apply(context.engine, works, CatalogueCache())
    assert messages(context.engine)


def test_an_audits_own_tables_tell_nobody(context: WorkerContext) -> None:
    """What is recomputed for a comparison changes nothing for anybody."""
    events = [event.payload for event in events_of(3)][:60]
    facts = [(event["id"], fact) for event in events for fact in decode(parse(event)).facts]

    def run(subjects: frozenset[str]) -> None:
        with context.engine.begin() as connection:
            unit_of_work.apply(connection, facts, CatalogueCache(), subjects, is_alone=True)

    locks.with_locks(run)
    assert messages(context.engine) == []
