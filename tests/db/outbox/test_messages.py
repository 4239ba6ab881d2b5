"""The outbox: numbers without gaps, crossings told once, hints that cost nothing when lost."""

import threading
from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import Engine, text

from db import copying
from db.engine import make_engine
from db.ledger import unit_of_work
from db.ledger.debits import debit
from db.outbox import hints, messages
from db.outbox.hints import Hints
from db.outbox.messages import Message, MessageType
from domain.tokens.adjustments import AdjustmentEntry
from domain.tokens.entries import LedgerEntry
from domain.working_set import Posting


def told(engine: Engine, user: str = "u") -> list[tuple[int, str]]:
    """What a user was told, by number and type."""
    with engine.connect() as connection:
        return [
            (message.version, message.type)
            for message in messages.after(connection, {user: 0}, limit=100)[user]
        ]


def post(engine: Engine, delta: int, *, user: str = "u", is_grant: bool = False) -> None:
    """Move a balance, by a grant or by a correction."""
    entry = (
        LedgerEntry(user, delta, "grant", f"in_{delta}", "a test")
        if is_grant
        else AdjustmentEntry(user, delta, "a test")
    )
    with engine.begin() as connection:
        unit_of_work.post(connection, [Posting(entry, None)])


def a_message(user: str = "u") -> Message:
    """A message of something."""
    return Message(user, MessageType.ACCESS_CHANGED, {"features": {}})


def test_low_and_exhausted_are_told_once_a_crossing(engine: Engine) -> None:
    """Not before, not again while it stays so, and anew after the next grant."""
    post(engine, 100, is_grant=True)
    with engine.begin() as connection:
        debit(connection, "u", amount=90, reason="r", idempotency_key="1")
    assert [kind for _, kind in told(engine)] == ["tokens.changed"] * 2
    with engine.begin() as connection:
        debit(connection, "u", amount=1, reason="r", idempotency_key="2")
    with engine.begin() as connection:
        debit(connection, "u", amount=1, reason="r", idempotency_key="3")
        debit(connection, "u", amount=8, reason="r", idempotency_key="4")
    post(engine, -5)
    assert told(engine)[2:] == [
        (3, "tokens.changed"),
        (4, "tokens.low"),
        (5, "tokens.changed"),
        (6, "tokens.changed"),
        (7, "tokens.exhausted"),
        (8, "tokens.changed"),
    ]
    post(engine, 205, is_grant=True)
    post(engine, -185)
    assert told(engine)[8:] == [
        (9, "tokens.changed"),
        (10, "tokens.changed"),
        (11, "tokens.low"),
    ]


@pytest.mark.parametrize("copied_min", [1, 1_000], ids=["copied", "inserted"])
def test_messages_of_one_transaction_are_numbered_in_their_order(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, copied_min: int
) -> None:
    """Whichever way they are written: each user's from the last number on, with the same data."""
    monkeypatch.setattr(copying, "COPIED_MIN", copied_min)
    data = {"text": 'é\t\\N\n"', "number": 1, "none": None}
    with engine.begin() as connection:
        messages.write(connection, [a_message("b")])
    with engine.begin() as connection:
        written = [
            Message("b", MessageType.TOKENS_CHANGED, data),
            Message("a", MessageType.TOKENS_LOW, data),
            Message("b", MessageType.ACCESS_CHANGED, data),
        ]
        assert messages.write(connection, written) == {"a", "b"}
        found = messages.after(connection, {"a": 0, "b": 1}, limit=9)
        began = connection.execute(text("SELECT now()")).scalar_one()
    assert told(engine, "a") == [(1, "tokens.low")]
    assert told(engine, "b")[1:] == [(2, "tokens.changed"), (3, "access.changed")]
    assert [message.data for user in found for message in found[user]] == [data] * 3
    assert all(message.created_at >= began for user in found for message in found[user])


def test_what_is_low_is_a_setting(database_url: str, engine: Engine) -> None:
    """Half of the last grant, for instance."""
    post(engine, 100, is_grant=True)
    other = make_engine(database_url, pool_size=1, low_balance=0.5)
    post(other, -51)
    other.dispose()
    assert told(engine)[1:] == [(2, "tokens.changed"), (3, "tokens.low")]


def test_a_repeated_debit_tells_nothing_more(engine: Engine) -> None:
    """It changed nothing."""
    post(engine, 100, is_grant=True)
    for _ in range(2):
        with engine.begin() as connection:
            debit(connection, "u", amount=1, reason="r", idempotency_key="1")
    assert len(told(engine)) == 2


def test_numbers_of_a_user_are_given_in_the_order_of_the_commits(
    database_url: str, engine: Engine
) -> None:
    """Eight at once: whoever sees a number sees all before it."""
    writers = make_engine(database_url, pool_size=8)

    def write() -> None:
        for _ in range(25):
            with writers.begin() as connection:
                messages.write(connection, [a_message("v"), a_message("u"), a_message("u")])

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with engine.connect() as connection:
            written = messages.after(connection, {"u": 0}, limit=10_000)["u"]
        seen = [row.version for row in written]
        assert seen == list(range(1, len(seen) + 1))
    for thread in threads:
        thread.join()
    writers.dispose()
    with engine.connect() as connection:
        assert messages.newest(connection, ["u", "v", "w"]) == {"u": 400, "v": 200}
        kept = messages.after(connection, {"u": 0, "w": 0}, limit=1)
        assert [row.version for row in kept["u"]] == [1]
        assert kept["w"] == []


def test_what_was_told_cannot_be_told_with_an_unknown_type(engine: Engine) -> None:
    """The database knows the types of the contract, each of them."""
    with engine.begin() as connection:
        messages.write(connection, [Message("u", kind, {}) for kind in MessageType])
    assert len(told(engine)) == len(MessageType)


@pytest.fixture
def listener(client: redis.Redis) -> Iterator[redis.client.PubSub]:
    """Somebody who listens to hints."""
    listening = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # As said.
    listening.subscribe(hints.CHANNEL)
    listening.get_message(timeout=1.0)
    yield listening
    listening.close()


def test_a_hint_names_the_user(client: redis.Redis, listener: redis.client.PubSub) -> None:
    """And nothing else."""
    Hints(client).publish(["ü"])
    message = listener.get_message(timeout=2.0)
    assert message is not None
    assert message["data"].decode() == "ü"


def test_without_redis_hints_are_silent_and_do_not_wait_twice() -> None:
    """The outbox has what they would have hinted at."""
    client = redis.Redis(port=1, socket_timeout=0.1)
    published = Hints(client)
    published.publish(["u"])
    published.publish(["u"])
    published.publish([])
    client.close()


def test_an_account_of_the_release_before_has_its_last_grant(engine: Engine) -> None:
    """What that release inserts leaves it out: nothing is low then, and nothing fails."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO token_accounts (user_id, balance) VALUES ('u', 5)"))
    post(engine, -3)
    assert [kind for _, kind in told(engine)] == ["tokens.changed"]
