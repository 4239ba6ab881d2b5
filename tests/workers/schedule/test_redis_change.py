"""Another Redis answers than before: what that one was given is fetched from Stripe, at once."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

import settings
from db.operations import reconcile as reading
from db.operations import redis_seen
from db.queue.attempts import Request
from db.queue.stream import EventStream, connect
from stripe_gateway import open_gateway
from tests.ingest.builders import ENVIRONMENT
from tests.pipeline import a_worker_context, empty, put, sell, statuses
from tests.play import CATALOGUE
from tests.redis_group import a_group
from tests.stripe_server import StripeServer
from tests.workers.schedule.listed import KEY, Listed
from workers import tasks
from workers.context import WorkerContext
from workers.questions import turn
from workers.schedule.reconcile import catch_up, look_back
from workers.schedule.redis_change import notice


@pytest.fixture
def context(
    database_url: str, redis_url: str, stripe_server: StripeServer
) -> Iterator[WorkerContext]:
    """A worker with a Stripe key and nothing noted."""
    variables = ENVIRONMENT | {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe_server.url}
    gateway = open_gateway(settings.load(environ=variables))
    made = replace(a_worker_context(database_url, redis_url), gateway=gateway)
    empty(made.engine)
    sell(made.engine, CATALOGUE)
    yield made
    made.engine.dispose()


def see(engine: Engine, server_id: str) -> bool:
    """Redis answers by this name now."""
    with engine.begin() as connection:
        return redis_seen.notice(connection, server_id)


def is_reread(engine: Engine) -> bool:
    """Whether nothing is left to be read anew."""
    with engine.connect() as connection:
        return redis_seen.reread(connection) is None


def read(context: WorkerContext, **options: bool) -> bool:
    """A reading; says whether it must go on."""
    return catch_up(context, lambda: None, **options)


def test_a_change_is_noticed_once(context: WorkerContext) -> None:
    """The first one is none, and the same server is none."""
    assert [see(context.engine, name) for name in "aabbbab"] == [
        False,
        False,
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_server_is_itself_until_it_is_restarted(context: WorkerContext) -> None:
    """Asked of a real one."""
    assert not notice(context)
    assert not notice(context)
    see(context.engine, "another")
    assert notice(context)
    assert context.events.server_id().count(":") == 1


def test_a_redis_that_is_away_is_no_change(context: WorkerContext) -> None:
    """Nobody knows which will come back."""
    see(context.engine, "a")
    away = connect("redis://127.0.0.1:1/0", timeout_seconds=0.1)
    assert not notice(replace(context, events=EventStream(away)))
    assert is_reread(context.engine)


def test_the_sweep_sends_the_reading(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not when the schedule comes round to it."""
    sent: list[str] = []
    monkeypatch.setattr(tasks, "context", lambda: context)
    monkeypatch.setattr(
        "workers.tasks.app.send_task", lambda name, kwargs: sent.append(f"{name}{kwargs}")
    )
    see(context.engine, "another")
    tasks.sweep()
    tasks.sweep()
    assert sent == ["workers.tasks.reconcile{}"]


def test_what_is_young_is_fetched_after_a_change_and_not_before(
    context: WorkerContext, listed: Listed
) -> None:
    """In quiet times it is still on its way to the receiver."""
    listed.sell(1, age_seconds=5)
    see(context.engine, "a")
    assert not read(context)
    assert statuses(context.engine) == {}
    see(context.engine, "b")
    assert not read(context, after_outage=True)
    assert statuses(context.engine) == {"evt_1": "received"}
    assert is_reread(context.engine)


def test_a_stripe_that_is_away_is_asked_again(
    context: WorkerContext, listed: Listed, stripe_server: StripeServer
) -> None:
    """The change is forgotten only when the list was read to its end."""
    listed.sell(1, age_seconds=5)
    see(context.engine, "a")
    see(context.engine, "b")
    stripe_server.status = 500
    read(context)
    assert not is_reread(context.engine)
    stripe_server.status = 200
    # The task that asks questions sends it again.
    assert turn.next_reading(context) == "goes_on"
    assert not read(context, goes_on=True)
    assert is_reread(context.engine)
    assert statuses(context.engine) == {"evt_1": "received"}


def test_a_person_who_reads_far_enough_back_has_read_it(
    context: WorkerContext, listed: Listed
) -> None:
    """No worker needs to read the same again."""
    assert context.gateway
    listed.sell(1, age_seconds=5)
    see(context.engine, "a")
    see(context.engine, "b")
    now = int(time.time())
    who = Request("ops")
    look_back(context.engine, context.gateway, lambda *_: None, since=now + 60, request=who)
    assert not is_reread(context.engine)
    look_back(context.engine, context.gateway, lambda *_: None, request=who)
    assert is_reread(context.engine)
    assert statuses(context.engine) == {"evt_1": "received"}


def test_a_change_during_a_reading_calls_for_another(
    context: WorkerContext, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had passed already may be missing now."""
    listed.page = 1
    for number in (1, 2):
        listed.sell(number, age_seconds=number)
    see(context.engine, "a")
    see(context.engine, "b")
    keep_window = reading.keep_window
    changes = iter(["c"])

    def changed_meanwhile(*values: Any) -> None:
        keep_window(*values)
        for name in changes:
            see(context.engine, name)

    monkeypatch.setattr(reading, "keep_window", changed_meanwhile)
    assert read(context)
    assert not is_reread(context.engine)
    assert not read(context, goes_on=True)
    assert is_reread(context.engine)


def test_a_long_reading_goes_on_where_it_stopped(
    context: WorkerContext, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts, each as far as its time allows; a window of the time before is not taken for it."""
    monkeypatch.setattr("workers.schedule.reconcile.SECONDS_MAX", -1.0)
    listed.page = 1
    for number in (1, 2, 3):
        listed.sell(number, age_seconds=number)
    see(context.engine, "a")
    assert read(context)
    assert statuses(context.engine) == {}
    see(context.engine, "b")
    parts = 1
    while read(context, goes_on=True):
        parts += 1
    assert parts == 3
    assert is_reread(context.engine)
    assert len(statuses(context.engine)) == 3


def test_what_a_lost_primary_had_alone_comes_from_stripe(
    context: WorkerContext, listed: Listed, tmp_path: Path
) -> None:
    """Without REDIS_COPIES it was answered 200 and is in no store any more."""
    with a_group(tmp_path) as group, closing(connect(group.primary.url)) as client:
        before = replace(context, events=EventStream(client))
        assert not notice(before)
        put(before, [listed.sell(number, age_seconds=9) for number in range(3)])
        group.links[0].stall()
        put(before, [listed.sell(number, age_seconds=3) for number in range(3, 8)])
        group.primary.kill()
        promoted = group.promote()
        with closing(connect(promoted.url)) as other:
            after = replace(context, events=EventStream(other))
            assert notice(after)
            read(after)
        survived = promoted.event_ids()
    assert {f"evt_{number}" for number in range(3, 8)} & survived == set()
    assert {f"evt_{number}" for number in range(8)} == survived | statuses(context.engine).keys()
