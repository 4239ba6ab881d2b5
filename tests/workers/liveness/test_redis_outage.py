"""While Redis is away the inbox is drained without Celery; real processes in tests/faults."""

import threading
from contextlib import closing
from pathlib import Path

import pytest
import redis

from db.queue import inbox
from dev.up.engines import ValkeyEngine
from tests.pipeline import a_delivery, a_worker_context, balances, empty, put, sell
from tests.play import CATALOGUE
from tests.stripe_objects import a_session, an_event
from workers.liveness.redis_outage import until_back, wait_for_redis, watch
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

    def is_there() -> bool:
        rounds.append("asked")
        return next(replies)

    def run_drain() -> None:
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
