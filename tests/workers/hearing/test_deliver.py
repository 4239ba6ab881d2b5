"""Deliveries: in order per user, at each destination's own pace, until everybody has everything."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.outbox import deliveries
from db.outbox import destinations as tables
from db.outbox.messages import MessageType
from tests.receiver import Receiver, receiving
from tests.workers.hearing.conftest import Deliver, Tell
from workers.hearing import deliver as deliver_module
from workers.hearing import destinations
from workers.hearing.deliver import Deliverer, run
from workers.hearing.sending import Sender

Add = Callable[..., tuple[str, str]]


def heard(receiver: Receiver) -> list[tuple[str, int]]:
    """Who was told of, in the order in which it was heard."""
    return [(message["user"], message["version"]) for message in receiver.heard]


def let_pauses_end(engine: Engine, **columns: str) -> None:
    """What is to be tried later is tried now."""
    with engine.begin() as connection:
        for table in ("destination_users", "destinations"):
            connection.execute(
                text(
                    f"UPDATE {table} SET next_attempt_at = now()"  # noqa: S608 - ours.
                    " WHERE next_attempt_at IS NOT NULL"
                )
            )
        for change in columns.values():
            connection.execute(text(change))


def state(engine: Engine, destination_id: str) -> Any:
    """A destination as it stands."""
    with engine.connect() as connection:
        return tables.find(connection, destination_id)


def test_each_destination_hears_everything_of_a_user_in_order(
    tell: Tell, add: Add, deliver: Deliver
) -> None:
    """Users at once, the messages of one one after the other."""
    with receiving() as one, receiving() as other:
        for receiver in (one, other):
            _, receiver.secret = add(receiver.url)
        for number in range(120):
            tell(f"u{number % 3}", balance=number)
        deliver()
        for receiver in (one, other):
            assert len(receiver.heard) == receiver.attempts == 120
            for user in ("u0", "u1", "u2"):
                of_user = [version for name, version in heard(receiver) if name == user]
                assert of_user == list(range(1, 41))
        deliver()
        assert one.attempts == 120


def test_a_destination_hears_its_types_and_what_changes_after_it_was_added(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """What was told long before is the API's to tell."""
    tell(balance=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET created_at = now() - interval '1 hour'"))
    with receiving() as receiver, receiving() as low:
        add(receiver.url)
        add(low.url, "tokens.low")
        tell(balance=2)
        tell(kind=MessageType.TOKENS_LOW, balance=2)
        deliver()
        assert heard(receiver) == [("u", 2), ("u", 3)]
        assert heard(low) == [("u", 3)]


def test_a_failed_message_is_tried_again_and_keeps_its_place(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """With the same id; nothing overtakes it, and other users do not wait."""
    with receiving(poison="u") as receiver:
        destination_id, _ = add(receiver.url)
        tell("u", balance=1)
        tell("u", balance=2)
        tell("v", balance=3)
        deliver()
        assert heard(receiver) == [("v", 1)]
        assert receiver.attempts == 2
        deliver()
        assert receiver.attempts == 2, "the pause is not over"
        let_pauses_end(engine)
        receiver.poison = ""
        tell("u", balance=4)
        deliver()
        assert heard(receiver) == [("v", 1), ("u", 1), ("u", 2), ("u", 3)]
        assert state(engine, destination_id).failures == 0


def test_a_destination_that_hangs_holds_nobody_else_up(
    engine: Engine, tell: Tell, add: Add
) -> None:
    """The other one has everything while each that was sent to the first still hangs."""
    with receiving(behavior="hang", hang_seconds=100.0) as slow, receiving() as well:
        hanging, _ = add(slow.url)
        add(well.url)
        for number in range(60):
            tell(f"u{number}", balance=number)

        async def some_time() -> None:
            deliverer = Deliverer(engine, Sender(allow_private=True, timeout_seconds=100.0))
            deadline = time.monotonic() + 60
            while len(well.heard) < 60 and time.monotonic() < deadline:
                await deliverer.look()
                await asyncio.sleep(0.01)
            assert state(engine, hanging).failures == 0, "it no longer hung"
            await deliverer.close()

        asyncio.run(some_time())
        assert len(well.heard) == 60
        assert slow.attempts > 0
        assert slow.heard == []


def test_one_that_is_away_is_asked_with_one_message_and_then_told_at_once(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """A hundred users do not each wait out a pause of their own when it is back."""
    with receiving(behavior="500") as receiver:
        destination_id, _ = add(receiver.url)
        for number in range(100):
            tell(f"u{number}", balance=number)
        deliver()
        first = receiver.attempts
        assert 5 <= first <= 12
        assert state(engine, destination_id).failures == first
        let_pauses_end(engine)
        deliver()
        assert receiver.attempts == first + 1
        receiver.behavior = "well"
        let_pauses_end(engine)
        deliver()
        assert len(receiver.heard) == 100
        assert state(engine, destination_id).failures == 0


def next_tries(engine: Engine) -> tuple[float, float]:
    """In how many seconds the destination may be tried again, and its last user."""
    query = text(
        "SELECT extract(epoch FROM (SELECT max(next_attempt_at) FROM destinations) - now()),"
        " extract(epoch FROM (SELECT max(next_attempt_at) FROM destination_users) - now())"
    )
    with engine.connect() as connection:
        of_destination, of_user = connection.execute(query).one()
    return float(of_destination), float(of_user)


def test_one_that_restarts_does_not_wait_for_minutes(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """Eight messages that fail at once are one failure of a moment."""
    with receiving(behavior="500") as receiver:
        add(receiver.url)
        for number in range(30):
            tell(f"u{number}", balance=number)
        deliver()
        let_pauses_end(engine)
        deliver()
        assert max(next_tries(engine)) < 6
        receiver.behavior = "well"
        let_pauses_end(engine)
        deliver()
        assert len(receiver.heard) == 30


def test_one_that_is_away_for_long_is_tried_every_five_minutes_with_whatever_waits(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """Also where that is a single message: it is not its user who is at fault."""
    with receiving(behavior="500") as receiver:
        add(receiver.url)
        tell(balance=1)
        for _ in range(12):
            let_pauses_end(engine)
            deliver()
        since = "UPDATE destinations SET failing_since = now() - interval '5 hours'"
        let_pauses_end(engine, since=since)
        deliver()
        assert receiver.attempts == 13
        assert all(290 < seconds < 301 for seconds in next_tries(engine))


def test_when_everything_fails_for_a_day_it_is_paused_until_a_person_resumes_it(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """With a reason; nothing is lost meanwhile."""
    with receiving(behavior="500") as receiver:
        destination_id, _ = add(receiver.url)
        tell(balance=1)
        deliver()
        since = "UPDATE destinations SET failing_since = now() - interval '25 hours'"
        let_pauses_end(engine, since=since)
        deliver()
        paused = state(engine, destination_id)
        assert paused.paused_why == "every delivery failed for a day: answered 500"
        attempts = receiver.attempts
        tell(balance=2)
        let_pauses_end(engine)
        deliver()
        assert receiver.attempts == attempts
        receiver.behavior = "well"
        with engine.begin() as connection:
            tables.resume(connection, destination_id)
        deliver()
        assert heard(receiver) == [("u", 1), ("u", 2)]


def test_a_message_that_fails_for_three_days_is_given_up_for_the_next(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """Where the destination takes others; the next one carries the whole state anyway."""
    with receiving(poison="u") as receiver:
        add(receiver.url)
        tell("u", balance=1)
        tell("u", balance=2)
        deliver()
        since = "UPDATE destination_users SET failing_since = now() - interval '73 hours'"
        let_pauses_end(engine, since=since)
        deliver()
        receiver.poison = ""
        let_pauses_end(engine)
        deliver()
        assert heard(receiver) == [("u", 2)]


def test_a_receiver_whose_clock_is_wrong_refuses_until_it_is_right(
    engine: Engine,
    tell: Tell,
    add: Add,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An hour off, every signature is too old or from the future; nothing is lost by it."""
    with receiving() as receiver, monkeypatch.context() as patched:
        _, receiver.secret = add(receiver.url)
        tell(balance=1)
        patched.setattr("tests.receiver.CLOCK_OFF_SECONDS", 3_600)
        deliver()
        assert receiver.heard == []
        patched.undo()
        let_pauses_end(engine)
        deliver()
        assert heard(receiver) == [("u", 1)]


def test_resend_sends_kept_messages_once_more(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """By user and type, with the ids and versions that they had."""
    with receiving() as receiver:
        destination_id, _ = add(receiver.url)
        tell("u", balance=1)
        tell("u", MessageType.TOKENS_LOW, balance=1)
        tell("v", balance=2)
        deliver()
        ids = set(receiver.ids)
        for options, count in (
            ({}, 3),
            ({"user_id": "u"}, 2),
            ({"types": ["tokens.low"]}, 1),
            ({"user_id": "w"}, 0),
        ):
            receiver.heard.clear()
            wanted: dict[str, Any] = {"since": None, "types": (), "user_id": None} | options
            assert destinations.resend(engine, destination_id, **wanted) == count
            deliver()
            assert len(receiver.heard) == count
        assert set(receiver.ids) == ids


def test_a_wish_that_comes_while_a_message_is_on_its_way_is_met_afterwards(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """What was heard before something was forgotten is no answer to the wish to hear it again."""
    with receiving() as receiver:
        destination_id, _ = add(receiver.url)
        tell("u", balance=1)
        wish: dict[str, Any] = {"since": None, "types": (), "user_id": None}
        for round_number in (1, 2):
            with engine.begin() as connection:
                deliveries.assign(connection)
                leased = deliveries.lease(connection, destination_id, limit=1)
                sent = [
                    each
                    for user in leased
                    for each in deliveries.messages_for(connection, destination_id, user, limit=9)
                ]
            assert [each.message.version for each in sent] == [1]
            destinations.resend(engine, destination_id, **wish)
            with engine.begin() as connection:
                deliveries.told(connection, destination_id, "u", 1, sent)
            deliver()
            assert heard(receiver) == [("u", 1)] * round_number
            # For the second round somebody wishes to hear it, and then somebody else does.
            destinations.resend(engine, destination_id, **wish)


def test_a_wish_that_is_written_while_a_delivery_is_recorded_is_met(
    engine: Engine, tell: Tell, add: Add, deliver: Deliver
) -> None:
    """The record waits for the wish, and must not take the user for done then."""
    with receiving() as receiver:
        destination_id, _ = add(receiver.url)
        tell("u", balance=1)
        deliver()

        def record() -> None:
            with engine.begin() as connection:
                deliveries.told(connection, destination_id, "u", 1, [])

        with engine.begin() as connection:
            tables.resend(connection, destination_id, since=None, types=(), user_id=None)
            recording = threading.Thread(target=record)
            recording.start()
            recording.join(0.5)
            assert recording.is_alive()
        recording.join()
        deliver()
        assert heard(receiver) == [("u", 1)] * 2


def test_two_workers_tell_a_user_once(engine: Engine, tell: Tell, add: Add) -> None:
    """A user of a destination is leased to one of them."""
    with receiving() as receiver:
        add(receiver.url)
        for number in range(200):
            tell(f"u{number % 20}", balance=number)

        def work() -> None:
            async def settle() -> None:
                deliverer = Deliverer(engine, Sender(allow_private=True))
                await deliverer.settle()
                await deliverer.close()

            asyncio.run(settle())

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(receiver.heard) == receiver.attempts == 200


def test_without_a_destination_nothing_is_assigned(engine: Engine, tell: Tell) -> None:
    """And it is looked for one now and then."""
    tell(balance=1)

    async def look() -> float:
        deliverer = Deliverer(engine, Sender(allow_private=True))
        seconds = await deliverer.look()
        await deliverer.close()
        return seconds

    assert asyncio.run(look()) == deliver_module.IDLE_SECONDS
    with engine.connect() as connection:
        pending = text("SELECT count(*) FROM outbox_users WHERE is_pending")
        assert connection.execute(pending).scalar_one() == 1


def test_the_deliverer_begins_again_after_what_nobody_foresaw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug must not end the hearing for ever."""
    monkeypatch.setattr(deliver_module, "IDLE_SECONDS", 0.0)
    begun: list[int] = []

    async def begin() -> None:
        begun.append(1)
        if len(begun) < 3:
            raise ValueError

    run(begin)
    assert len(begun) == 3
