"""A poison message is a stored event that kills its process: tried a few times, in quarantine."""

import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import Row, exc, text

from db.connections.watched import NotReplicatedError, WatchedConnection
from db.queue import attempts, inbox, leases, pauses
from db.queue.leases import KILLED, UNDER_WAY
from domain.decode import DECODERS
from domain.decode.facts import Fact
from domain.decode.source import Source
from tests.pipeline import a_delivery, balances, let_leases_run_out, put, statuses, work
from tests.stripe_objects import a_session, an_event, an_invoice
from workers.context import WorkerContext
from workers.operations.audit import audit
from workers.pipeline.drain import drain
from workers.pipeline.takeover import POISON_DELIVERIES

# Three retries; the time between them is not what is tested here.
DELAYS = (0.01, 0.01, 0.01)
POISON = "evt_poison"
# Lives of a worker one after the other, until one ends by itself with nothing left to try.
LIVES = """
import os, signal, sys, time
from dataclasses import replace
from sqlalchemy import text
from db.queue import leases
from domain.decode import DECODERS
from domain.decode.facts import Fact
from domain.decode.source import Source
from tests.pipeline import a_worker_context, let_leases_run_out
from workers.pipeline.drain import drain

DECODERS["invoice.paid"] = lambda _source: os.kill(os.getpid(), signal.SIGKILL)
leases.LEASE_SECONDS = 0.0
waits = text("SELECT count(*) FROM webhook_events WHERE status IN ('received', 'failed')")
deaths, left = 0, 1
while left and deaths < 20:
    child = os.fork()
    if not child:
        context = replace(a_worker_context(*sys.argv[1:]), retry_delays_seconds=(0.01, 0.01, 0.01))
        drain(context, lambda: None)
        with context.engine.connect() as connection:
            os._exit(min(1, connection.execute(waits).scalar_one()))
    _, status = os.waitpid(child, 0)
    deaths += os.WIFSIGNALED(status)
    left = status != 0
    time.sleep(0.02)
print(deaths)
"""


def packages(count: int) -> list[dict[str, Any]]:
    """So many packages, sold to so many users, with ids on both sides of the poison message's."""
    return [
        an_event(
            "checkout.session.completed",
            a_session(
                id=f"cs_{n}",
                payment_intent=f"pi_{n}",
                customer=f"cus_{n}",
                client_reference_id=f"user_{n}",
                metadata={"user_id": f"user_{n}", "plan_id": "4"},
            ),
            event_id=f"evt_{'az'[n % 2]}_{n}",
        )
        for n in range(count)
    ]


def a_poison_message() -> dict[str, Any]:
    """An event whose type kills whoever decodes it, in the script above."""
    return an_event("invoice.paid", an_invoice([]), event_id=POISON)


def keep(context: WorkerContext, *events: dict[str, Any]) -> None:
    """Store events in the inbox, as the receiver does without Redis."""
    with context.engine.begin() as connection:
        inbox.store(connection, [a_delivery(event) for event in events], source="webhook")


def row_of(context: WorkerContext, event_id: str) -> Row[Any]:
    """What the inbox says of an event."""
    with context.engine.connect() as connection:
        query = text("SELECT * FROM webhook_events WHERE id = :id")
        return connection.execute(query, {"id": event_id}).one()


def told(context: WorkerContext, event_id: str) -> list[tuple[str, str, str | None]]:
    """The attempts that are kept of an event: cause, status, error."""
    with context.engine.connect() as connection:
        return [(each.cause, each.status, each.error) for each in attempts.of(connection, event_id)]


def die_under(context: WorkerContext) -> None:
    """Take what is due and go no further; then let every lease run out."""
    with context.engine.begin() as connection:
        leases.take(connection, 100, DELAYS)
    make_due(context)


def make_due(context: WorkerContext) -> None:
    """Let the time of every next try come."""
    with context.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE webhook_events SET next_attempt_at = now()"
                " WHERE status IN ('received', 'failed')"
            )
        )


def test_a_poison_message_is_dead_after_its_schedule(
    context: WorkerContext, database_url: str, redis_url: str
) -> None:
    """Real deaths: once in a batch and three times alone, then never again; the rest is applied."""
    good = packages(10)
    keep(context, *good[:5], a_poison_message(), *good[5:])
    lives = subprocess.run(
        [sys.executable, "-c", LIVES, database_url, redis_url],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert lives.stdout.splitlines()[-1] == str(1 + len(DELAYS))
    found = statuses(context.engine)
    assert found.pop(POISON) == "dead"
    assert set(found.values()) == {"applied"}
    assert balances(context.engine) == {f"user_{n}": 1_000 for n in range(len(good))}
    assert row_of(context, POISON).attempts == 1 + len(DELAYS)
    assert told(context, POISON) == [
        ("delivery", "failed", KILLED),
        ("retry", "failed", KILLED),
        ("retry", "failed", KILLED),
        ("retry", "dead", KILLED),
    ]
    assert work(context, good).duplicates == len(good)
    assert audit(context.engine, print, lambda *_: None).is_clean


def test_an_event_in_hand_is_counted_and_nobody_elses(context: WorkerContext) -> None:
    """What is known of it whatever becomes of the process: a try, and when the next one is due."""
    keep(context, *packages(1))
    with context.engine.begin() as connection:
        (taken,) = leases.take(connection, 100, DELAYS)
        assert (taken.attempts, taken.is_quarantined, taken.is_poison) == (0, False, False)
    row = row_of(context, "evt_a_0")
    assert (row.status, row.attempts, row.error) == ("received", 1, UNDER_WAY)
    assert drain(context, lambda: None).applied == 0
    assert not told(context, "evt_a_0")


def test_what_a_process_died_under_is_taken_alone_after_everything_else(
    context: WorkerContext,
) -> None:
    """One at a time in quarantine, so the next death is no other event's."""
    keep(context, *packages(2))
    die_under(context)
    fresh = packages(4)[2:]
    keep(context, *fresh)
    taken = []
    for _ in range(3):
        with context.engine.begin() as connection:
            taken.append(leases.take(connection, 100, DELAYS))
    assert [[each.delivery.event_id for each in batch] for batch in taken] == [
        ["evt_a_2", "evt_z_3"],
        ["evt_a_0"],
        ["evt_z_1"],
    ]
    assert row_of(context, "evt_a_0").status == "failed"
    assert told(context, "evt_a_0") == [("delivery", "failed", KILLED)]


def test_an_innocent_event_in_quarantine_is_applied_and_its_story_is_whole(
    context: WorkerContext,
) -> None:
    """Two tries are counted, and two are told of."""
    keep(context, *packages(1))
    die_under(context)
    assert drain(context, lambda: None).applied == 1
    row = row_of(context, "evt_a_0")
    assert (row.status, row.attempts, row.error) == ("applied", 2, None)
    assert told(context, "evt_a_0") == [("delivery", "failed", KILLED), ("retry", "applied", None)]


def test_the_quarantine_does_not_keep_a_drain_from_the_stream(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while a further drain is asked for, which begins with what is new."""
    keep(context, *packages(2))
    die_under(context)
    monkeypatch.setattr("workers.pipeline.drain.QUARANTINE_SECONDS_MAX", 0.0)
    sent: list[int] = []
    assert drain(context, lambda: sent.append(1)).applied == 1
    assert sent == [1]


def test_an_event_in_quarantine_waits_by_the_plan_before_it_is_tried_again(
    context: WorkerContext,
) -> None:
    """Its second death puts it off by the second delay, should that be longer than the lease."""
    keep(context, *packages(1))
    die_under(context)
    with context.engine.begin() as connection:
        leases.take(connection, 100, (10, 60, 600))
        waits = text("SELECT extract(epoch FROM next_attempt_at - now()) FROM webhook_events")
        assert connection.execute(waits).scalar_one() == 60


def test_a_retry_that_is_not_finished_goes_into_quarantine_too(context: WorkerContext) -> None:
    """An event that failed before and now takes its process down is not met in a batch again."""
    broken = an_event("invoice.paid", {"id": "in_8", "object": "invoice"}, event_id="evt_broken")
    work(context, [broken])
    make_due(context)
    die_under(context)
    with context.engine.begin() as connection:
        (taken,) = leases.take(connection, 100, DELAYS)
    assert taken.is_quarantined
    assert [error for _, _, error in told(context, "evt_broken")][1:] == [KILLED]


def test_what_the_stream_gave_up_is_in_quarantine_in_the_inbox(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted once, and its first retry is alone already."""
    put(context, packages(1))
    context.events.create_group()
    context.events.read("a worker that died", 10)
    let_leases_run_out(context, monkeypatch)
    for _ in range(POISON_DELIVERIES - 1):
        context.events.take_over_stale("another that died", 10)
    drain(context, lambda: None)
    row = row_of(context, "evt_a_0")
    assert (row.status, row.attempts, row.error) == ("failed", 1, KILLED)
    assert "handed out 11 times by the stream" in row.note
    make_due(context)
    with context.engine.begin() as connection:
        (taken,) = leases.take(connection, 100, DELAYS)
    assert taken.is_quarantined
    assert len(told(context, "evt_a_0")) == 1


def test_a_poison_message_that_stripe_sends_again_is_not_decoded_after_the_first_death(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inbox has it, so who takes over from the dead drops it; its neighbours are applied."""
    keep(context, a_poison_message())
    let_leases_run_out(context, monkeypatch)
    with context.engine.begin() as connection:
        connection.execute(
            text("UPDATE webhook_events SET status = 'dead', next_attempt_at = NULL")
        )
    put(context, [a_poison_message(), *packages(1)])
    context.events.create_group()
    context.events.read("a worker that died", 10)
    monkeypatch.setitem(DECODERS, "invoice.paid", _kill)
    done = drain(context, lambda: None)
    assert (done.applied, done.failed, done.duplicates) == (1, 0, 1)
    assert statuses(context.engine) == {POISON: "dead", "evt_a_0": "applied"}
    assert context.events.length() == 0


def _kill(_source: Source) -> list[Fact]:
    pytest.fail("it was decoded")


def test_what_was_in_hand_when_the_database_went_away_is_given_back_uncounted(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process lives, so nothing it held has killed it: no try is counted, nothing quarantined.

    What was in quarantine stays there.
    """
    keep(context, *packages(1))
    die_under(context)
    keep(context, *packages(3)[1:])

    def broken(*_: object, **__: object) -> None:
        raise exc.OperationalError("INSERT", {}, Exception("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr("workers.pipeline.batch.apply", broken)
        patch.setattr("workers.pipeline.batch.TRANSIENT_WAITS_SECONDS", ())
        drain(context, lambda: None)
        assert row_of(context, "evt_z_1").error == UNDER_WAY
        drain(context, lambda: None)
    assert drain(context, lambda: None).applied == 3
    assert (row_of(context, "evt_z_1").attempts, told(context, "evt_z_1")) == (1, [])
    assert row_of(context, "evt_a_0").attempts == 2
    assert context.left == []


def test_an_event_in_quarantine_that_is_given_back_stays_there(context: WorkerContext) -> None:
    """It must not be met in a batch because the database went away."""
    keep(context, *packages(1))
    die_under(context)
    for _ in range(2):
        with context.engine.begin() as connection:
            taken = leases.take(connection, 100, DELAYS)
            assert [(each.attempts, each.is_quarantined) for each in taken] == [(1, True)]
            leases.give_back(connection, taken)
    assert len(told(context, "evt_a_0")) == 1


def test_who_outlived_the_lease_has_no_say_any_more(context: WorkerContext) -> None:
    """An event that passed into other hands is claimed by the number of its newest try only."""
    keep(context, *packages(1))
    with context.engine.begin() as connection:
        late = leases.take(connection, 100, DELAYS)
    make_due(context)
    with context.engine.begin() as connection:
        leases.take(connection, 100, DELAYS)
        assert leases.lock_leased(connection, {"evt_a_0": 1}) == set()
        assert leases.lock_leased(connection, {"evt_a_0": 2}) == {"evt_a_0"}
        leases.give_back(connection, late)
    assert row_of(context, "evt_a_0").attempts == 2


def test_a_type_that_is_paused_while_its_event_is_in_hand_is_not_quarantined(
    context: WorkerContext,
) -> None:
    """The try that has begun ends; the pause is for the next event."""
    keep(context, *packages(1))
    with context.engine.begin() as connection:
        leases.take(connection, 100, DELAYS)
        pauses.pause(connection, "checkout.session.completed", by="ada", reason=None)
        assert leases.lock_leased(connection, {"evt_a_0": 1}) == {"evt_a_0"}


def test_a_lease_whose_commit_was_not_confirmed_is_given_back(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have taken place; nobody died of the event, and it does not wait for a lease."""
    keep(context, *packages(1))
    take, commit, is_lease = leases.take, WatchedConnection.commit, {"now": False}

    def taken(*arguments: Any) -> list[leases.Leased]:
        is_lease["now"] = True
        return take(*arguments)

    def commit_unconfirmed(connection: WatchedConnection) -> None:
        commit(connection)
        if is_lease["now"]:
            is_lease["now"] = False
            raise NotReplicatedError("the commit was not confirmed by a standby")

    with monkeypatch.context() as patched:
        patched.setattr(leases, "take", taken)
        patched.setattr(WatchedConnection, "commit", commit_unconfirmed)
        assert drain(context, lambda: None).applied == 0
    assert row_of(context, "evt_a_0").error == UNDER_WAY
    assert drain(context, lambda: None).applied == 1
    assert row_of(context, "evt_a_0").attempts == 1
    assert told(context, "evt_a_0") == []


def test_a_drain_that_is_late_leases_nothing(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time might run out on an event that did not cause it; the next drain takes it up."""
    keep(context, *packages(1))
    sent: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr("workers.pipeline.drain.SECONDS_MAX", -10.0)
        assert drain(context, lambda: sent.append(1)).applied == 0
    assert sent == [1]
    assert row_of(context, "evt_a_0").error is None
    assert drain(context, lambda: None).applied == 1
