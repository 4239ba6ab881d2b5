"""The hub: who lacks what is read and given, in order, once, whatever is lost on the way."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingest.stream import hub as hub_module
from ingest.stream.hub import Hub, Message, News, Subscription, TooManyStreamsError


@dataclass
class Outbox:
    """Stands for the outbox: the versions of each user, and how often it was read."""

    versions: dict[str, int] = field(default_factory=dict)
    oldest: int = 1
    reads: list[dict[str, int | None]] = field(default_factory=list)
    is_away: bool = False
    at_once: int = 1_000

    def read(self, wanted: Mapping[str, int | None]) -> dict[str, News]:
        """In place of `OutboxReader.read`."""
        self.reads.append(dict(wanted))
        if self.is_away:
            raise ConnectionError
        return {user: self._news(user, version) for user, version in wanted.items()}

    def _news(self, user: str, version: int | None) -> News:
        newest = self.versions.get(user, 0)
        if version is None or version >= newest:
            return News(newest)
        first = max(version + 1, self.oldest)
        last = min(newest, first + self.at_once - 1)
        messages = tuple(Message(n, "tokens.changed", f"{n}") for n in range(first, last + 1))
        return News(newest, messages, has_gap=first != version + 1)


@pytest.fixture
def outbox() -> Outbox:
    """An outbox in which user_1 was told five things."""
    return Outbox({"user_1": 5})


def run(outbox: Outbox, what: Callable[[Hub], Coroutine[Any, Any, Any]]) -> Any:
    """Run this with a hub on an event loop."""

    async def on_the_loop() -> Any:
        hub = Hub(outbox.read)
        hub.start(asyncio.get_running_loop())
        try:
            return await asyncio.wait_for(what(hub), 10)
        finally:
            hub.stop()

    return asyncio.run(on_the_loop())


async def told(subscription: Subscription, count: int) -> list[str]:
    """The id and event of so many texts of a stream."""
    texts: list[str] = []
    while len(texts) < count and not subscription.is_closed:
        texts += await subscription.take()
    return [" ".join(line.partition(": ")[2] for line in text.split("\n")[:2]) for text in texts]


def test_a_new_stream_is_told_where_it_is(outbox: Outbox) -> None:
    """What was told before is in the state that its client asks for."""

    async def open_one(hub: Hub) -> list[str]:
        return await told(hub.open("user_1", None), 1)

    assert run(outbox, open_one) == ["5 ready"]


def test_a_stream_that_comes_back_gets_what_it_missed_and_then_the_rest(outbox: Outbox) -> None:
    """Each version once, in order."""

    async def come_back(hub: Hub) -> list[str]:
        stream = hub.open("user_1", 3)
        missed = await told(stream, 2)
        outbox.versions["user_1"] = 6
        hub.has_news("user_1")
        hub.has_news("user_1")
        return missed + await told(stream, 1)

    assert run(outbox, come_back) == ["4 tokens.changed", "5 tokens.changed", "6 tokens.changed"]


def test_more_than_is_read_at_once_comes_all_the_same(outbox: Outbox) -> None:
    """Without another hint."""
    outbox.at_once = 2

    async def come_back(hub: Hub) -> list[str]:
        return await told(hub.open("user_1", 0), 5)

    assert run(outbox, come_back) == [f"{n} tokens.changed" for n in range(1, 6)]


@pytest.mark.parametrize(("seen", "oldest"), [(1, 4), (9, 1)])
def test_what_is_no_longer_kept_is_a_reset(outbox: Outbox, seen: int, oldest: int) -> None:
    """Also for a client that has seen what this outbox never told."""
    outbox.oldest = oldest

    async def come_back(hub: Hub) -> list[str]:
        return await told(hub.open("user_1", seen), 1)

    assert run(outbox, come_back) == ["5 reset"]


def test_a_hint_that_is_lost_costs_time_and_no_message(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody is looked at every few seconds."""
    monkeypatch.setattr(hub_module, "SWEEP_SECONDS", 0.1)

    async def no_hint(hub: Hub) -> list[str]:
        stream = hub.open("user_1", 5)
        await asyncio.sleep(0.05)
        outbox.versions["user_1"] = 6
        return await told(stream, 1)

    assert run(outbox, no_hint) == ["6 tokens.changed"]


def test_a_database_that_is_away_is_asked_again(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stream ends, and nothing is missed."""
    monkeypatch.setattr(hub_module, "RETRY_SECONDS", 0.05)
    outbox.is_away = True

    async def come_back(hub: Hub) -> list[str]:
        stream = hub.open("user_1", 4)
        await asyncio.sleep(0.2)
        outbox.is_away = False
        return await told(stream, 1)

    assert run(outbox, come_back) == ["5 tokens.changed"]
    assert len(outbox.reads) >= 2


def test_users_whose_hints_come_together_are_read_together(outbox: Outbox) -> None:
    """In one call, and nobody who has no stream."""

    async def burst(hub: Hub) -> None:
        for number in range(100):
            hub.open(f"user_{number}", 0)
        hub.has_news("user_of_another_process")
        await asyncio.sleep(0.2)

    run(outbox, burst)
    assert {user for wanted in outbox.reads for user in wanted} == {f"user_{n}" for n in range(100)}
    assert len(outbox.reads) <= 3


def test_streams_are_told_when_changes_come_late(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And when they no longer do; meanwhile everybody is looked at more often."""
    monkeypatch.setattr(hub_module, "DELAYED_SWEEP_SECONDS", 0.1)

    async def no_redis(hub: Hub) -> tuple[list[str], list[str]]:
        stream = hub.open("user_1", 5)
        hub.hints_fail()
        hub.hints_fail()
        await asyncio.sleep(0.05)
        outbox.versions["user_1"] = 6
        late = await told(stream, 2)
        later = hub.open("user_1", 6)
        hub.hints_come()
        return late, await told(later, 2)

    late, later = run(outbox, no_redis)
    assert late[0].startswith("delayed ")
    assert late[1:] == ["6 tokens.changed"]
    assert [text.split()[0] for text in later] == ["delayed", "live"]


def test_a_stream_that_takes_nothing_is_closed(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds no more than so much; its client resumes where it was."""
    monkeypatch.setattr(hub_module, "WAITING_MAX", 3)

    async def ignore(hub: Hub) -> bool:
        stream = hub.open("user_1", 0)
        await asyncio.sleep(0.2)
        return stream.is_closed

    assert run(outbox, ignore)


def test_streams_are_bounded_for_all_and_for_each(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that ends leaves its place."""
    monkeypatch.setattr(hub_module, "STREAMS_MAX", 3)
    monkeypatch.setattr(hub_module, "STREAMS_OF_USER_MAX", 2)

    async def crowd(hub: Hub) -> None:
        mine = [hub.open("user_1", 0) for _ in range(2)]
        with pytest.raises(TooManyStreamsError) as refused:
            hub.open("user_1", 0)
        assert refused.value.of_user
        hub.open("user_2", 0)
        with pytest.raises(TooManyStreamsError) as refused:
            hub.open("user_3", 0)
        assert not refused.value.of_user
        hub.close(mine[0])
        hub.close(mine[0])
        assert hub.count == 2
        hub.open("user_3", 0)

    run(outbox, crowd)
