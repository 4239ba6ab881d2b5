"""How a batch that fails is taken apart: few tries where they are quick, one each where not."""

from collections.abc import Sequence
from typing import Any

import psycopg2.errors
import pytest
from sqlalchemy import exc

from domain.events import Delivery, EventStatus
from domain.working_set import Derived
from tests.pipeline import a_delivery
from tests.stripe_objects import a_session, an_event
from workers.pipeline.apply import Applied
from workers.pipeline.batch import apply_each
from workers.pipeline.prepared_event import PreparedEvent, prepare

LOCK: Any = psycopg2.errors.LockNotAvailable
GONE: Any = psycopg2.errors.AdminShutdown
FULL: Any = psycopg2.errors.OutOfMemory


class Tables:
    """Takes works, but not together with a culprit; remembers what was tried and committed."""

    def __init__(self, error: Exception, *culprits: int) -> None:
        self.error = error
        self.culprits = {f"evt_{number}" for number in culprits}
        self.tries: list[int] = []
        self.committed: list[PreparedEvent] = []

    def attempt(self, works: Sequence[PreparedEvent]) -> Applied:
        """One transaction."""
        self.tries.append(len(works))
        if any(self._spoils(work) for work in works):
            raise self.error
        self.committed += works
        return Applied(works, [work.delivery.event_id for work in works], Derived())

    def _spoils(self, work: PreparedEvent) -> bool:
        is_culprit = work.delivery.event_id in self.culprits
        return is_culprit and work.outcome.status is not EventStatus.FAILED

    def failed(self) -> set[str]:
        """The ids that were recorded as failed."""
        return {
            work.delivery.event_id
            for work in self.committed
            if work.outcome.status is EventStatus.FAILED
        }


def works(count: int) -> list[PreparedEvent]:
    """So many events, from `evt_0` on."""
    deliveries: list[Delivery] = [
        a_delivery(an_event("checkout.session.completed", a_session(), event_id=f"evt_{number}"))
        for number in range(count)
    ]
    return [prepare(each) for each in deliveries]


def database_error(kind: type[Exception]) -> exc.OperationalError:
    """As SQLAlchemy hands it on, with the SQLSTATE of its class."""
    state = {LOCK: "55P03", GONE: "57P01", FULL: "53200"}[kind]
    cause = type("Sent", (kind,), {"pgcode": state})("no")
    return exc.OperationalError("INSERT", {}, cause)


@pytest.mark.parametrize("culprits", [(0,), (77,), (255,), (3, 200)])
def test_a_few_culprits_among_hundreds_cost_a_few_tries(culprits: tuple[int, ...]) -> None:
    """The others do not wait for hundreds of transactions of one event each."""
    tables = Tables(TypeError("too deep"), *culprits)
    applied = list(apply_each(works(256), tables.attempt))
    assert tables.failed() == tables.culprits
    assert sorted(tables.committed, key=lambda work: work.delivery.event_id) == sorted(
        (work for each in applied for work in each.works),
        key=lambda work: work.delivery.event_id,
    )
    assert len({work.delivery.event_id for work in tables.committed}) == 256
    assert len(tables.tries) <= 18 * len(culprits)


def test_a_lock_is_waited_for_by_each_alone_and_never_by_halves() -> None:
    """Every try with the culprit takes the whole time of the lock: three of them are enough."""
    tables = Tables(database_error(LOCK), 5)
    list(apply_each(works(32), tables.attempt))
    assert tables.tries == [32, *[1] * 33]
    assert tables.failed() == {"evt_5"}


def test_an_event_alone_gets_a_second_chance_at_a_lock() -> None:
    """Whoever had it may be done by now."""
    tables = Tables(database_error(LOCK), 0)
    list(apply_each(works(1), tables.attempt))
    assert tables.tries == [1, 1, 1]
    assert tables.failed() == {"evt_0"}


def test_nobody_is_blamed_for_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the batch was being taken apart."""
    monkeypatch.setattr("workers.pipeline.batch.TRANSIENT_WAITS_SECONDS", ())
    tables = Tables(database_error(GONE), 5)
    with pytest.raises(exc.OperationalError):
        list(apply_each(works(8), tables.attempt))
    assert tables.tries == [8]
    assert tables.failed() == set()


def test_a_batch_with_too_many_locks_is_halved_at_once_and_nobody_is_blamed() -> None:
    """The same size would fail for ever; a smaller one goes through."""
    tried: list[int] = []
    committed: list[str] = []

    def attempt(works: Sequence[PreparedEvent]) -> Applied:
        tried.append(len(works))
        if len(works) > 100:
            raise database_error(FULL)
        committed.extend(work.delivery.event_id for work in works)
        return Applied(works, committed[-len(works) :], Derived())

    applied = list(apply_each(works(256), attempt))
    assert tried == [256, 128, 64, 64, 128, 64, 64]
    assert len(set(committed)) == 256
    outcomes = {work.outcome.status for each in applied for work in each.works}
    assert outcomes == {EventStatus.APPLIED}


def test_one_event_without_room_for_its_locks_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others hold them: that is as if the database were away, and no event's fault."""
    monkeypatch.setattr("workers.pipeline.batch.TRANSIENT_WAITS_SECONDS", (0.0,))
    tables = Tables(database_error(FULL), 0, 1)
    with pytest.raises(exc.OperationalError):
        list(apply_each(works(2), tables.attempt))
    assert tables.tries == [2, 1, 1]
    assert tables.failed() == set()
