"""The event loop sends packets itself while Redis is well; threads do what takes time."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.bodies import compress
from db.engine import make_engine
from db.queue.copies import NUDGE_CHANNEL, NUDGE_SECONDS
from db.queue.redis_connection import FRESH_SECONDS
from db.queue.stream import EventStream, connect
from domain.events import Delivery
from ingest.context import REDIS_TIMEOUT_SECONDS
from ingest.intake.durability import DurabilityCheck
from ingest.intake.group_commit import GroupCommit
from ingest.intake.intake import Intake, Store
from ingest.intake.loop_lane import PACKET_BYTES_MAX
from tests.pipeline import empty
from tests.redis_group import Member, a_group


def a_delivery(number: int, body: bytes = b"{}") -> Delivery:
    """A verified event."""
    return Delivery(f"evt_{number}", "invoice.paid", 1, 2, compress(body))


class CountingIntake(Intake):
    """Counts what threads were given; the rest the loop did itself."""

    by_thread = 0

    def to_stream(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
        """As the intake does."""
        self.by_thread += len(deliveries)
        return super().to_stream(deliveries)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The inbox, empty."""
    made = make_engine(database_url, pool_size=2)
    empty(made)
    yield made
    made.dispose()


Work = Callable[[GroupCommit, CountingIntake], Coroutine[Any, Any, None]]


def run(server: Member, engine: Engine, work: Work, *, copies: int = 0) -> None:
    """Do this on an event loop whose deliveries go to that server, else to the inbox."""

    async def on_the_loop(intake: CountingIntake) -> None:
        group = GroupCommit(intake)
        group.start(asyncio.get_running_loop())
        try:
            # The first goes by a thread, which connects the loop.
            assert await group.accept(a_delivery(0)) == "stream"
            assert intake.by_thread == 1
            await work(group, intake)
        finally:
            group.stop()

    with closing(connect(server.url, timeout_seconds=REDIS_TIMEOUT_SECONDS)) as client:
        intake = CountingIntake(
            stream=EventStream(client, copies=copies),
            durability=DurabilityCheck(client, "stream"),
            engine=engine,
            send_wake_up=lambda: None,
        )
        asyncio.run(on_the_loop(intake))


async def accept(group: GroupCommit, numbers: range) -> list[Store]:
    """Where each of these is stored; all at the same time."""
    return await asyncio.gather(*(group.accept(a_delivery(number)) for number in numbers))


def in_inbox(engine: Engine) -> set[str]:
    """The ids of the events in the inbox."""
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT id FROM webhook_events")).scalars())


def ids(numbers: range) -> set[str]:
    """The ids of these events."""
    return {f"evt_{number}" for number in numbers}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Member]:
    """A Redis of this test's own."""
    with Member(tmp_path / "server") as member:
        yield member


def test_a_redis_that_is_well_is_served_by_the_loop_alone(server: Member, engine: Engine) -> None:
    """One at a time or many at once: no thread has to do with it."""

    async def work(group: GroupCommit, intake: CountingIntake) -> None:
        for number in range(1, 20):
            assert await group.accept(a_delivery(number)) == "stream"
        assert await accept(group, range(20, 720)) == ["stream"] * 700
        assert intake.by_thread == 1

    run(server, engine, work)
    assert server.event_ids() == ids(range(720))


def test_a_delivery_too_large_for_the_loop_goes_by_the_thread(
    server: Member, engine: Engine
) -> None:
    """To send it could wait for a server that hangs; smaller ones do not wait behind it."""

    async def work(group: GroupCommit, intake: CountingIntake) -> None:
        large = a_delivery(1, os.urandom(2 * PACKET_BYTES_MAX))
        by_thread, by_loop = await asyncio.gather(group.accept(large), accept(group, range(2, 5)))
        assert (by_thread, by_loop) == ("stream", ["stream"] * 3)
        assert intake.by_thread == 2

    run(server, engine, work)
    assert server.event_ids() == ids(range(5))


def test_what_a_redis_that_hangs_does_not_confirm_goes_to_the_inbox(
    server: Member, engine: Engine
) -> None:
    """Within the client's own time limit; and once Redis answers again, the loop sends again."""

    async def work(group: GroupCommit, intake: CountingIntake) -> None:
        server.suspend()
        began = time.monotonic()
        assert await accept(group, range(1, 4)) == ["inbox"] * 3
        assert time.monotonic() - began < REDIS_TIMEOUT_SECONDS + 2
        server.resume()
        await until_the_loop_sends(group, intake)

    run(server, engine, work)
    assert ids(range(1, 4)) <= in_inbox(engine)


def test_a_redis_that_is_killed_costs_nothing_that_was_answered(
    server: Member, engine: Engine
) -> None:
    """Nor what was under way; after its return the loop has a connection again."""

    async def work(group: GroupCommit, intake: CountingIntake) -> None:
        under_way = asyncio.create_task(accept(group, range(1, 300)))
        await asyncio.sleep(0)
        server.kill()
        assert set(await under_way) <= {"stream", "inbox"}
        assert await accept(group, range(300, 303)) == ["inbox"] * 3
        server.start()
        await until_the_loop_sends(group, intake)

    run(server, engine, work)
    assert ids(range(303)) <= in_inbox(engine) | server.event_ids()


def test_a_connection_that_was_closed_unused_is_made_anew(server: Member, engine: Engine) -> None:
    """A server that ends idle connections costs no delivery its place in the stream."""

    async def work(group: GroupCommit, intake: CountingIntake) -> None:
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(FRESH_SECONDS + 0.1)
        assert await accept(group, range(1, 4)) == ["stream"] * 3
        await until_the_loop_sends(group, intake)

    run(server, engine, work)
    assert in_inbox(engine) == set()


def test_a_primary_that_became_a_replica_gets_nothing_more(server: Member, engine: Engine) -> None:
    """What it refuses goes to the inbox."""

    async def work(group: GroupCommit, intake: CountingIntake) -> None:
        server.order("REPLICAOF", "127.0.0.1", "1")
        assert await accept(group, range(1, 4)) == ["inbox"] * 3
        server.order("REPLICAOF", "NO", "ONE")
        await until_the_loop_sends(group, intake)

    run(server, engine, work)


def test_a_packet_of_the_loop_asks_for_copies_too(tmp_path: Path, engine: Engine) -> None:
    """What no replica has confirmed is no store."""

    async def work(group: GroupCommit, intake: CountingIntake) -> None:
        assert await accept(group, range(1, 4)) == ["stream"] * 3
        assert intake.by_thread == 1
        members.replicas[0].suspend()
        assert await accept(group, range(4, 7)) == ["inbox"] * 3
        members.replicas[0].resume()

    with a_group(tmp_path) as members:
        run(members.primary, engine, work, copies=1)


def test_a_packet_that_waits_for_its_copy_is_helped_on_once(tmp_path: Path, engine: Engine) -> None:
    """The primary sends its replicas something, which frees an answer that TCP holds back."""
    heard: list[bytes] = []

    async def work(group: GroupCommit, _intake: CountingIntake) -> None:
        with (
            closing(connect(members.primary.url, timeout_seconds=1.0)) as client,
            client.pubsub() as nudges,  # type: ignore[no-untyped-call]  # Half typed.
        ):
            nudges.subscribe(NUDGE_CHANNEL)
            assert nudges.get_message(timeout=1.0)["type"] == "subscribe"
            members.replicas[0].suspend()
            assert await accept(group, range(1, 4)) == ["inbox"] * 3
            members.replicas[0].resume()
            while message := nudges.get_message(timeout=0.2):
                heard.append(message["data"])

    with a_group(tmp_path) as members:
        run(members.primary, engine, work, copies=1)
    assert heard == [b""]


def test_nobody_helps_on_what_was_under_way_at_the_end(tmp_path: Path, engine: Engine) -> None:
    """The helper is gone by then."""
    errors: list[dict[str, Any]] = []

    async def work(group: GroupCommit, _intake: CountingIntake) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, told: errors.append(told))
        members.replicas[0].suspend()
        under_way = asyncio.ensure_future(accept(group, range(1, 4)))
        for _ in range(5):
            await asyncio.sleep(0)  # Until it is sent.
        group.stop()
        await asyncio.sleep(10 * NUDGE_SECONDS)
        under_way.cancel()
        members.replicas[0].resume()

    with a_group(tmp_path) as members:
        run(members.primary, engine, work, copies=1)
    assert errors == []


def test_a_bug_below_is_told_to_its_request_alone(server: Member, engine: Engine) -> None:
    """The loop goes on with the next delivery."""

    async def work(group: GroupCommit, _intake: CountingIntake) -> None:
        with pytest.raises(UnicodeEncodeError):
            await group.accept(Delivery("evt_\ud800", "invoice.paid", 1, 2, compress(b"{}")))
        assert await accept(group, range(1, 4)) == ["stream"] * 3

    run(server, engine, work)


async def until_the_loop_sends(group: GroupCommit, intake: CountingIntake) -> None:
    """Deliver one after the other until one did not go by a thread."""
    for number in range(1_000, 1_200):
        before = intake.by_thread
        store = await group.accept(a_delivery(number))
        if store == "stream" and intake.by_thread == before:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the loop sends nothing itself any more")
