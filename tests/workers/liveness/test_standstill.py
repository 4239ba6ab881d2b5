"""When nothing moves, a worker drains without Celery; real processes in tests/faults."""

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

import settings
from db.queue import inbox
from db.queue.heartbeat import KEY, Heartbeat
from db.queue.stream import EventStream, connect
from dev.up.engines import ValkeyEngine
from tests.pipeline import a_delivery, a_worker_context, balances, empty, put, sell
from tests.play import CATALOGUE
from tests.stripe_objects import a_session, an_event
from workers.context import WorkerContext
from workers.liveness.standstill import (
    STILL_SECONDS_MIN,
    Lookout,
    Return,
    Sight,
    Standstill,
    until_back,
    wait_for_redis,
    watch,
)
from workers.pipeline.drain import drain


@pytest.fixture(scope="module", autouse=True)
def catalogue(database_url: str, redis_url: str) -> None:
    """Something to sell."""
    sell(a_worker_context(database_url, redis_url).engine, CATALOGUE)


def test_a_redis_that_is_gone_takes_no_writes(database_url: str, redis_url: str) -> None:
    """A port nobody listens on."""
    assert a_worker_context(database_url, redis_url).events.takes_writes()
    assert not a_worker_context(database_url, "redis://127.0.0.1:1/0").events.takes_writes()


def test_a_full_redis_takes_no_writes_and_its_stream_is_drained_all_the_same(
    database_url: str, tmp_path: Path
) -> None:
    """What waits in it is what fills it, so waiting for room would be waiting for ever."""
    with ValkeyEngine(tmp_path) as valkey:
        context = a_worker_context(database_url, valkey.url)
        put(context, [an_event("checkout.session.completed", a_session(id="cs_full"))])
        with closing(redis.Redis.from_url(valkey.url)) as client:
            client.config_set("maxmemory", "1mb")
        assert not context.events.takes_writes()
        # Nobody has read from the stream yet: the group is there only once a worker was.
        assert drain(context, lambda: None).applied == 0
        with closing(redis.Redis.from_url(valkey.url)) as client:
            client.config_set("maxmemory", "0")
            context.events.create_group()
            client.config_set("maxmemory", "1mb")
        assert drain(context, lambda: None).applied == 1
        assert context.events.length() == 0
        context.engine.dispose()


@pytest.mark.parametrize(("port_of", "drained"), [(None, []), (1, ["drained"])])
def test_a_worker_that_starts_without_redis_drains_first_and_only_then(
    redis_url: str, port_of: int | None, drained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery would not start, and a crash loop applies nothing."""
    calls: list[str] = []
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{port_of}/0" if port_of else redis_url)
    wait_for_redis(lambda: calls.append("drained"))
    assert calls == drained


def test_the_drain_runs_after_two_silences_and_not_after_one() -> None:
    """One failed probe may be a hiccup."""
    stop = threading.Event()
    replies = iter([False, True, False, False])
    rounds: list[str] = []

    def is_there() -> Sight:
        rounds.append("asked")
        return Sight(is_away=not next(replies))

    def run_drain(reason: str) -> None:
        assert reason == "redis takes no writes"
        rounds.append("drained")
        stop.set()

    watch(is_there, run_drain, interval_seconds=0, stop=stop)
    assert rounds == ["asked", "asked", "asked", "asked", "drained"]


def test_what_is_stored_is_applied_without_redis(database_url: str) -> None:
    """Only PostgreSQL is needed."""
    context = a_worker_context(database_url, "redis://127.0.0.1:1/0")
    empty(context.engine)
    with context.engine.begin() as connection:
        event = an_event("checkout.session.completed", a_session())
        inbox.store(connection, [a_delivery(event)], source="webhook")
    replies = iter([False, True])
    until_back(lambda: next(replies), lambda: drain(context, lambda: None), interval_seconds=0)
    assert balances(context.engine) == {"user_1": 1_000}
    context.engine.dispose()


def test_what_waits_in_redis_is_applied_as_soon_as_it_is_back(
    database_url: str, redis_url: str
) -> None:
    """Celery takes seconds to come back, and longer if the watchdog must restart it."""
    context = a_worker_context(database_url, redis_url)
    empty(context.engine)
    put(context, [an_event("checkout.session.completed", a_session(id="cs_back"))])
    until_back(
        context.events.takes_writes, lambda: drain(context, lambda: None), interval_seconds=0
    )
    assert balances(context.engine) == {"user_1": 1_000}
    context.engine.dispose()


class Clock:
    """A clock that goes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def reasons(*sights: Sight, every: float = 2.0) -> list[str | None]:
    """What is made of one sight after the other."""
    clock = Clock()
    standstill = Standstill(clock)
    told = []
    for sight in sights:
        told.append(standstill.reason(sight))
        clock.now += every
    return told


def test_what_waits_unmoved_for_seconds_is_a_standstill() -> None:
    """And what moved in between is none, however much waits."""
    still = [Sight(("1-0",))] * 4
    assert reasons(*still) == [None, None, None, "events wait and nothing moves"]
    assert STILL_SECONDS_MIN < 3 * 2.0
    busy = [Sight((number,)) for number in range(20)]
    assert reasons(*busy) == [None] * 20
    assert reasons(*still[:3], Sight(), *still[:3]) == [None] * 7
    hiccup = [*still[:2], Sight(is_away=True), *still[:2]]
    assert reasons(*hiccup)[-1] == "events wait and nothing moves"


@pytest.fixture
def lookout(database_url: str, redis_url: str) -> Iterator[tuple[WorkerContext, Lookout]]:
    """A lookout on queues with nothing in them, and a worker that could empty them."""
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    context = a_worker_context(database_url, redis_url)
    empty(context.engine)
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.flushdb()
    yield context, Lookout(settings.load(environ=environ))
    context.engine.dispose()


def test_the_mark_stands_while_events_only_arrive(
    lookout: tuple[WorkerContext, Lookout],
) -> None:
    """A receiver that goes on is no sign that anything is applied."""
    context, watched = lookout
    assert watched.look() == Sight()
    put(context, [an_event("checkout.session.completed", a_session(id="cs_first"))])
    first = watched.look()
    assert first.mark is not None
    put(context, [an_event("checkout.session.completed", a_session(id="cs_second"))])
    assert watched.look() == first
    # Taken, it is in hand and does not wait.
    context.events.create_group()
    [taken] = context.events.read("slow", 1)
    second = watched.look()
    assert second.mark not in (None, first.mark)
    context.events.acknowledge([taken.entry_id])
    assert watched.look().mark not in (None, first.mark, second.mark)
    drain(context, lambda: None)
    assert watched.look() == Sight()


def test_what_is_due_in_the_inbox_waits_too(lookout: tuple[WorkerContext, Lookout]) -> None:
    """Also while the stream is empty."""
    context, watched = lookout
    with context.engine.begin() as connection:
        event = an_event("checkout.session.completed", a_session())
        inbox.store(connection, [a_delivery(event)], source="webhook")
    waits = watched.look()
    assert waits.mark is not None
    assert watched.look() == waits
    drain(context, lambda: None)
    assert watched.look() == Sight()


def test_where_sweeps_run_nobody_looks_further(
    lookout: tuple[WorkerContext, Lookout], redis_client: redis.Redis
) -> None:
    """A sweep asks for a drain itself: without a database it could do no more."""
    context, watched = lookout
    put(context, [an_event("checkout.session.completed", a_session())])
    for second in range(5):
        redis_client.set(KEY, second)
        assert watched.look() == Sight()
    assert watched.look().mark is not None


def test_it_is_over_when_sweeps_run_again(redis_client: redis.Redis) -> None:
    """Redis alone is not enough, and a worker that has ended is."""
    events = EventStream(redis_client)
    beat = Heartbeat(redis_client)
    redis_client.set(KEY, 7)
    assert Return(events, beat, until="redis").is_complete()
    back = Return(events, beat, until="sweeps", parent=os.getppid())
    assert not back.is_complete()
    assert not back.is_complete()
    redis_client.set(KEY, 9)
    assert back.is_complete()
    assert Return(events, beat, until="sweeps", parent=os.getppid() + 1).is_complete()
    away = connect("redis://127.0.0.1:1/0")
    assert Return(EventStream(away), Heartbeat(away), until="once").is_complete()
    assert not Return(EventStream(away), Heartbeat(away), until="redis").is_complete()
