"""A drain that found events waits for more: who is woken meanwhile, and what ends the wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Timer
from typing import Any

import pytest

from db.queue import inbox, pauses
from tests.pipeline import a_delivery, balances, put, statuses
from tests.stripe_objects import a_package_session, an_event, an_intent
from workers.context import WorkerContext
from workers.pipeline.batch import BatchSize
from workers.pipeline.drain import SECONDS_MAX, drain
from workers.pipeline.report import Drained

LINGER_SECONDS = 3.0
SOON_SECONDS = 0.3


@pytest.fixture
def lingering(context: WorkerContext) -> WorkerContext:
    """A worker that waits for more, as a real one does."""
    return replace(context, linger_seconds=LINGER_SECONDS)


def package(number: int) -> list[dict[str, Any]]:
    """One package bought by a user of its own, in two events."""
    intent = an_intent(id=f"pi_{number}", customer=f"cus_{number}")
    return [
        an_event("payment_intent.succeeded", intent),
        an_event("checkout.session.completed", a_package_session(number)),
    ]


@contextmanager
def soon(act: Callable[[], object]) -> Iterator[None]:
    """Do something while the drain inside waits."""
    timer = Timer(SOON_SECONDS, act)
    timer.start()
    yield
    timer.join()


def drained(context: WorkerContext, woken: list[int] | None = None) -> tuple[Drained, float]:
    """What a drain did, and in how many seconds; `woken` gets an item for each wake-up sent."""
    sent = [] if woken is None else woken
    began = time.monotonic()
    done = drain(context, lambda: sent.append(1))
    return done, time.monotonic() - began


def test_what_comes_while_it_waits_is_applied_and_wakes_nobody(lingering: WorkerContext) -> None:
    """And once it has ended, the next delivery wakes a worker again."""
    put(lingering, package(1))
    must_wake: list[bool] = []
    late = a_delivery(package(2)[1])
    with soon(lambda: must_wake.append(lingering.events.put(late))):
        done, seconds = drained(lingering)
    assert (done.applied, must_wake) == (3, [False])
    assert SOON_SECONDS < seconds < 2 * LINGER_SECONDS
    assert lingering.events.length() == 0
    assert lingering.events.request_wake_up()


def test_one_that_found_nothing_waits_for_nothing(lingering: WorkerContext) -> None:
    """A sweep's wake-up in vain keeps no process busy."""
    _, seconds = drained(lingering)
    assert seconds < LINGER_SECONDS / 2


def test_one_beside_another_that_waits_does_not_wait_too(lingering: WorkerContext) -> None:
    """One reads what comes; the other's process is free."""
    put(lingering, package(1))
    assert lingering.events.hold_wake_up("another", LINGER_SECONDS)
    done, seconds = drained(lingering)
    assert done.applied == 2
    assert seconds < LINGER_SECONDS / 2
    assert not lingering.events.request_wake_up()


def test_a_type_that_is_paused_while_it_waits_is_parked(lingering: WorkerContext) -> None:
    """What was paused as it began says nothing about what comes later."""
    put(lingering, package(1))
    event = package(2)[1]

    def pause_and_deliver() -> None:
        with lingering.engine.begin() as connection:
            pauses.pause(connection, event["type"], by="me", reason=None)
        lingering.events.put(a_delivery(event))

    with soon(pause_and_deliver):
        done, _ = drained(lingering)
    assert (done.applied, done.parked) == (2, 1)


def test_what_is_stored_in_the_inbox_while_it_waits_is_applied(lingering: WorkerContext) -> None:
    """As its wake-up flag was held, nobody was woken for it."""
    put(lingering, package(1))
    event = package(2)[1]

    def store() -> None:
        with lingering.engine.begin() as connection:
            inbox.store(connection, [a_delivery(event)], source="webhook")

    with soon(store):
        drained(lingering)
    assert statuses(lingering.engine)[event["id"]] == "applied"
    assert balances(lingering.engine)["user_2"] == 1_000


def test_full_batches_wake_others_at_once(lingering: WorkerContext) -> None:
    """So load spreads over the pool, as it does without the wait."""
    put(lingering, [event for number in range(4) for event in package(number)])
    woken: list[int] = []
    done, seconds = drained(replace(lingering, size=BatchSize(2)), woken)
    assert done.applied == 8
    assert woken
    assert seconds < LINGER_SECONDS / 2


def test_others_are_woken_before_the_first_full_batch_is_applied(lingering: WorkerContext) -> None:
    """A full batch takes a process half a second, in which the others would have had nothing."""
    put(lingering, [event for number in range(4) for event in package(number)])
    applied: list[int] = []
    drain(
        replace(lingering, size=BatchSize(2)),
        lambda: applied.append(len(statuses(lingering.engine))),
    )
    assert applied[0] == 0


def test_thin_events_end_the_wait(
    lingering: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe is asked about them after the drain, so they would wait for its end."""
    put(lingering, package(1))
    real = Drained.count

    def noticing(done: Drained, applied: object) -> None:
        real(done, applied)  # type: ignore[arg-type]  # It is handed on.
        done.noticed += 1

    monkeypatch.setattr(Drained, "count", noticing)
    _, seconds = drained(lingering)
    assert seconds < LINGER_SECONDS / 2


def test_a_redis_that_loses_all_while_it_waits_keeps_it_no_longer(lingering: WorkerContext) -> None:
    """With the stream its group is gone; the next delivery finds a worker that is free."""
    put(lingering, package(1))
    with soon(lingering.events.client.flushdb):
        done, seconds = drained(lingering)
    assert done.applied == 2
    assert seconds < SECONDS_MAX / 2
    put(lingering, package(2))
    assert drained(lingering)[0].applied == 2
