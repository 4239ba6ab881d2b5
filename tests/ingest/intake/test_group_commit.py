"""Group commit: many share one wait, each has its own outcome, nobody waits without end."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from db.bodies import compress
from db.queue.stream import EventStream, connect
from domain.events import Delivery
from ingest.intake import group_commit
from ingest.intake.group_commit import GroupCommit, TooBusyError
from ingest.intake.intake import Intake, NotStoredError, Store


def a_delivery(number: int = 1) -> Delivery:
    """A verified event."""
    return Delivery(f"evt_{number}", "invoice.paid", 1, 2, compress(b"{}"))


@dataclass
class Disk:
    """Stands for the intake: remembers the groups that it is given, and waits until it may go."""

    may_go: threading.Event = field(default_factory=threading.Event)
    groups: list[list[str]] = field(default_factory=list)
    refuses: frozenset[str] = frozenset()
    error: Exception | None = None
    # Never connected: here the threads store.
    stream: EventStream = field(default_factory=lambda: EventStream(connect("redis://127.0.0.1:1")))

    def may_begin(self) -> bool:
        """In place of `Intake.may_begin`: the loop sends nothing itself."""
        return False

    def to_inbox(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
        """In place of `Intake.to_inbox`: takes nothing."""
        return [None] * len(deliveries)

    def to_stream(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
        """In place of `Intake.to_stream`."""
        ids = [delivery.event_id for delivery in deliveries]
        self.groups.append(ids)
        assert self.may_go.wait(10)
        if self.error:
            raise self.error
        return [None if event_id in self.refuses else "stream" for event_id in ids]


@pytest.fixture
def disk() -> Disk:
    """A disk that takes everything, at once."""
    disk = Disk()
    disk.may_go.set()
    return disk


def run(
    disk: Disk, what: Callable[[GroupCommit], Coroutine[Any, Any, Any]], **limits: float
) -> Any:
    """Run this on an event loop with a group commit to that disk."""

    async def on_the_loop() -> Any:
        group = GroupCommit(cast("Intake", disk), **limits)
        group.start(asyncio.get_running_loop())
        try:
            return await what(group)
        finally:
            group.stop()

    return asyncio.run(on_the_loop())


def test_one_alone_is_stored_at_once(disk: Disk) -> None:
    """Nothing is waited for but the store."""
    assert run(disk, lambda group: group.accept(a_delivery())) == "stream"
    assert disk.groups == [["evt_1"]]


def test_what_comes_while_the_disk_is_busy_shares_the_next_wait(disk: Disk) -> None:
    """However many they are; and all are answered."""
    disk.may_go.clear()

    async def many(group: GroupCommit) -> list[Store]:
        first = [asyncio.create_task(group.accept(a_delivery(n))) for n in (1, 2)]
        await asyncio.sleep(0.1)
        rest = [asyncio.create_task(group.accept(a_delivery(n))) for n in range(3, 103)]
        await asyncio.sleep(0.05)
        disk.may_go.set()
        return await asyncio.gather(*first, *rest)

    assert run(disk, many) == ["stream"] * 102
    assert sorted(itertools.chain(*disk.groups)) == sorted(f"evt_{n}" for n in range(1, 103))
    assert len(disk.groups) <= 3


def test_each_has_an_outcome_of_its_own(disk: Disk) -> None:
    """One that no store took does not spoil the answers of its group."""
    disk.refuses = frozenset({"evt_2"})

    async def three(group: GroupCommit) -> list[Any]:
        accepted = (group.accept(a_delivery(n)) for n in (1, 2, 3))
        return await asyncio.gather(*accepted, return_exceptions=True)

    first, second, third = run(disk, three)
    assert (first, third) == ("stream", "stream")
    assert isinstance(second, NotStoredError)


def test_a_bug_below_is_told_to_the_request_and_ends_no_thread(disk: Disk) -> None:
    """Later deliveries are stored."""
    disk.error = ZeroDivisionError()

    async def two(group: GroupCommit) -> Store:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await group.accept(a_delivery())
        disk.error = None
        return await group.accept(a_delivery())

    assert run(disk, two) == "stream"


def test_a_store_that_hangs_is_no_answer_without_end(disk: Disk) -> None:
    """Stripe is told in time to send it again; that it is stored later does no harm."""
    disk.may_go.clear()

    async def hang(group: GroupCommit) -> float:
        began = time.monotonic()
        with pytest.raises(NotStoredError):
            await group.accept(a_delivery())
        took = time.monotonic() - began
        disk.may_go.set()
        await asyncio.sleep(0.1)
        return took

    assert 0.2 <= run(disk, hang, answer_seconds_max=0.2) < 1.5


def test_a_database_that_hangs_holds_up_nobody_who_waits_for_redis() -> None:
    """Each store has a thread of its own."""
    hangs = threading.Event()

    class RedisAlone(Disk):
        def to_stream(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
            return [None if one.event_id == "evt_1" else "stream" for one in deliveries]

        def to_inbox(self, deliveries: Sequence[Delivery]) -> list[Store | None]:
            assert hangs.wait(10)
            return ["inbox"] * len(deliveries)

    async def both(group: GroupCommit) -> tuple[Store, Store]:
        first = asyncio.create_task(group.accept(a_delivery(1)))
        await asyncio.sleep(0.05)
        second = await group.accept(a_delivery(2))
        hangs.set()
        return await first, second

    assert run(RedisAlone(), both) == ("inbox", "stream")


@pytest.mark.parametrize("limit", ["IN_FLIGHT_MAX", "IN_FLIGHT_BYTES_MAX"])
def test_more_than_may_wait_is_sent_away(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Memory is bounded; when the disk answers there is room again."""
    room = {"IN_FLIGHT_MAX": 3, "IN_FLIGHT_BYTES_MAX": 3 * len(a_delivery().body)}[limit]
    monkeypatch.setattr(group_commit, limit, room)
    disk.may_go.clear()

    async def crowd(group: GroupCommit) -> Store:
        waiting = [asyncio.create_task(group.accept(a_delivery(n))) for n in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(TooBusyError):
            await group.accept(a_delivery(4))
        disk.may_go.set()
        await asyncio.gather(*waiting)
        return await group.accept(a_delivery(5))

    assert run(disk, crowd) == "stream"


def test_a_client_that_goes_away_leaves_room(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its delivery is stored like any other; nobody hears of it."""
    monkeypatch.setattr(group_commit, "IN_FLIGHT_MAX", 1)
    disk.may_go.clear()

    async def leave(group: GroupCommit) -> Store:
        task = asyncio.create_task(group.accept(a_delivery(1)))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        disk.may_go.set()
        return await group.accept(a_delivery(2))

    assert run(disk, leave) == "stream"
    assert ["evt_1"] in disk.groups
