"""Leases on stored events: who may try what, and what an attempt that never ended counts for."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, text

from db.queue import attempts, inbox, leases, pauses
from db.queue.leases import KILLED, LEASE_SECONDS, UNDER_WAY, Leased
from tests.pipeline import a_delivery
from tests.stripe_objects import a_session, an_event

DELAYS = (10, 60)
TYPE = "checkout.session.completed"


@pytest.fixture
def stored(engine: Engine) -> Engine:
    """An inbox in which evt_0, evt_1 and evt_2 wait, in this order."""
    for number in range(3):
        with engine.begin() as connection:
            event = an_event(TYPE, a_session(), event_id=f"evt_{number}")
            inbox.store(connection, [a_delivery(event)], source="webhook")
    return engine


def take(engine: Engine, limit: int = 10) -> list[Leased]:
    """Lease what is due, and commit that."""
    with engine.begin() as connection:
        return leases.take(connection, limit, DELAYS)


def run_out(engine: Engine) -> None:
    """Let every lease and delay be over."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE webhook_events SET next_attempt_at = now()"
                " WHERE next_attempt_at IS NOT NULL"
            )
        )


def ids(leased: Sequence[Leased]) -> list[str]:
    """The events of these leases."""
    return [event.delivery.event_id for event in leased]


def waits_seconds(engine: Engine, event_id: str = "evt_0") -> float:
    """How long until an event is due, by the transaction that planned it."""
    query = text(
        "SELECT extract(epoch FROM next_attempt_at - now()) FROM webhook_events WHERE id = :id"
    )
    with engine.connect() as connection:
        return float(connection.execute(query, {"id": event_id}).scalar_one())


def test_the_longest_due_comes_first_and_is_nobody_elses(stored: Engine) -> None:
    """Two workers share the inbox without waiting for each other."""
    assert sorted(ids(take(stored, 2))) == ["evt_0", "evt_1"]
    assert ids(take(stored, 2)) == ["evt_2"]
    assert take(stored, 2) == []
    assert 0 < waits_seconds(stored) <= LEASE_SECONDS


def test_nobody_waits_for_what_another_is_leasing(stored: Engine) -> None:
    """It is passed by, not waited for."""
    with stored.begin() as one, stored.begin() as other:
        other.execute(text("SET LOCAL lock_timeout = '1s'"))
        assert ids(leases.take(one, 1, DELAYS)) == ["evt_0"]
        assert sorted(ids(leases.take(other, 9, DELAYS))) == ["evt_1", "evt_2"]


def test_a_leased_event_is_counted_before_anyone_looks_into_it(stored: Engine) -> None:
    """Whatever becomes of the process, the attempt is known."""
    (first, *_) = take(stored)
    assert (first.attempts, first.is_quarantined, first.is_poison) == (0, False, False)
    query = text("SELECT attempts, error, status FROM webhook_events WHERE id = :id")
    with stored.connect() as connection:
        row = connection.execute(query, {"id": first.delivery.event_id}).one()
    assert tuple(row) == (1, UNDER_WAY, "received")


def test_a_paused_type_is_not_leased(stored: Engine) -> None:
    """Its events wait until the type is resumed."""
    with stored.begin() as connection:
        pauses.pause(connection, TYPE, by="ada", reason=None)
    assert take(stored) == []


def test_what_was_never_finished_is_leased_alone_and_last(stored: Engine) -> None:
    """One of them may have killed its process, so it must meet no other event."""
    take(stored, 1)
    run_out(stored)
    assert sorted(ids(take(stored))) == ["evt_1", "evt_2"]
    (alone,) = take(stored)
    assert (ids([alone]), alone.attempts, alone.is_quarantined) == (["evt_0"], 1, True)
    assert DELAYS[1] - 1 < waits_seconds(stored) <= DELAYS[1], "the plan, not the lease"
    with stored.connect() as connection:
        noted = attempts.of(connection, "evt_0")
    assert [(row.cause, row.status, row.error) for row in noted] == [("delivery", "failed", KILLED)]


def test_each_in_quarantine_is_alone(stored: Engine) -> None:
    """Or the next death would be blamed on all of them."""
    take(stored)
    run_out(stored)
    assert [len(take(stored)) for _ in range(4)] == [1, 1, 1, 0]


def test_after_its_last_delay_it_is_poison(stored: Engine) -> None:
    """No attempt is made any more, and none is counted."""
    finish_others(stored)
    for expected in (0, 1, 2):
        (event,) = take(stored)
        assert (event.attempts, event.is_quarantined) == (expected, expected > 0)
        run_out(stored)
    (poison,) = take(stored)
    assert (poison.is_poison, poison.attempts) == (True, 2)


def finish_others(engine: Engine) -> None:
    """Leave evt_0 alone in the inbox."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE webhook_events SET status = 'ignored', next_attempt_at = NULL"
                " WHERE id <> 'evt_0'"
            )
        )


def test_only_the_newest_lease_counts(stored: Engine) -> None:
    """A process that outlived its lease has no say, neither to finish nor to give back."""
    late = take(stored, 1)
    run_out(stored)
    finish_others(stored)
    take(stored, 1)
    with stored.begin() as connection:
        assert leases.lock_leased(connection, {"evt_0": 1}) == set()
        assert leases.lock_leased(connection, {"evt_0": 2}) == {"evt_0"}
        leases.give_back(connection, late)
    assert waits_seconds(stored) > 0


def test_what_is_given_back_is_due_and_not_counted(stored: Engine) -> None:
    """The database went away: no event is to blame."""
    leased = take(stored)
    with stored.begin() as connection:
        leases.give_back(connection, leased)
    again = take(stored)
    assert sorted(ids(again)) == ["evt_0", "evt_1", "evt_2"]
    assert [(event.attempts, event.is_quarantined) for event in again] == [(0, False)] * 3


def test_what_is_given_back_stays_in_quarantine(stored: Engine) -> None:
    """It must not be met in a batch because the database went away."""
    finish_others(stored)
    take(stored)
    run_out(stored)
    for _ in range(2):
        leased = take(stored)
        assert [(event.attempts, event.is_quarantined) for event in leased] == [(1, True)]
        with stored.begin() as connection:
            leases.give_back(connection, leased)
