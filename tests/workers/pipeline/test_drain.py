"""The drain on real engines: what is put on the stream ends in the tables, exactly once."""

from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import text

from db.ledger import rows
from db.queue import inbox
from db.queue.stream import WAKE_UP
from domain.events import Delivery
from domain.payments.derivation import Payment
from tests.domain.test_convergence import account_stories, shuffled
from tests.examples import examples
from tests.pipeline import (
    a_delivery,
    a_worker_context,
    balances,
    empty,
    let_leases_run_out,
    put,
    statuses,
    work,
)
from tests.play import play
from tests.stripe_objects import (
    a_line,
    a_package_session,
    a_refund,
    an_event,
    an_intent,
    an_invoice,
)
from workers.context import WorkerContext
from workers.pipeline import in_hand
from workers.pipeline.batch import BatchSize
from workers.pipeline.drain import drain
from workers.pipeline.prepared_event import PreparedEvent, prepare
from workers.schedule.sweep import sweep


def payments_in(context: WorkerContext) -> dict[str, Payment]:
    """Every listed payment as the table has it."""
    with context.engine.connect() as connection:
        query = f"SELECT {rows.MONEY_COLUMNS} FROM payments WHERE listed"  # noqa: S608 - ours.
        listed = connection.execute(text(query))
        return {row.id: rows.payment_from(row) for row in listed}


@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_tables_end_as_the_pure_core_says(context: WorkerContext, data: st.DataObject) -> None:
    """Real rows, real locks, real batches: the same end as the core in memory."""
    empty(context.engine)
    story = data.draw(account_stories())
    delivered = shuffled(data.draw, story.events)
    cut = data.draw(st.integers(0, len(delivered)))
    work(context, delivered[:cut])
    work(context, delivered[cut:])
    expected = play(story.events)
    assert balances(context.engine) == expected.balances
    assert payments_in(context) == expected.payments
    with context.engine.connect() as connection:
        owners = connection.execute(text("SELECT id, user_id FROM customers"))
        assert {row.id: row.user_id for row in owners} == expected.owners
        wrong = connection.execute(
            text(
                "SELECT a.user_id FROM token_accounts AS a WHERE a.balance <>"
                " (SELECT sum(delta) FROM ledger_entries AS e WHERE e.user_id = a.user_id)"
            )
        )
        assert wrong.all() == []


def package(number: int = 1) -> list[dict[str, Any]]:
    """One package bought by a user of its own."""
    intent = an_intent(id=f"pi_{number}", customer=f"cus_{number}")
    return [
        an_event("payment_intent.succeeded", intent),
        an_event("checkout.session.completed", a_package_session(number)),
    ]


def test_duplicates_are_counted_and_have_no_effect(context: WorkerContext) -> None:
    """Twice in one batch, and once more in a later one."""
    events = package()
    first = work(context, [*events, *events])
    assert (first.applied, first.duplicates) == (2, 2)
    second = work(context, events)
    assert (second.applied, second.duplicates) == (0, 2)
    assert balances(context.engine) == {"user_1": 1_000}


def test_among_many_duplicates_only_new_events_are_decoded(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch after one of duplicates asks the inbox first; all are counted and acknowledged."""
    known, new = package(1), package(2)
    work(context, known)
    decoded: list[str] = []

    def recording(delivery: Delivery, **options: Any) -> PreparedEvent:
        decoded.append(delivery.event_id)
        return prepare(delivery, **options)

    monkeypatch.setattr(in_hand, "prepare", recording)
    of_two = replace(context, size=BatchSize(2))
    done = work(of_two, [*known, known[0], *new, new[0], *known])
    assert (done.applied, done.duplicates) == (2, 6)
    # Batches of two, four and two events: in the last one the inbox has both.
    assert decoded == [event["id"] for event in (*known, *new)]
    assert balances(context.engine) == {"user_1": 1_000, "user_2": 1_000}
    assert context.events.length() == 0


def test_an_acknowledged_entry_is_gone_from_the_stream(context: WorkerContext) -> None:
    """Nothing stays behind in Redis after the commit."""
    work(context, package())
    assert context.events.length() == 0


def test_an_unknown_type_is_stored_as_ignored(context: WorkerContext) -> None:
    """Stripe's next event type is no error."""
    event = an_event("invoice.something_new", {"id": "in_9", "customer": "cus_9"})
    work(context, [event])
    assert statuses(context.engine) == {event["id"]: "ignored"}


def test_an_event_that_lacks_what_we_need_fails_alone_and_readably(context: WorkerContext) -> None:
    """Its neighbours are applied; the error names the place."""
    broken = an_event("invoice.paid", {"id": "in_8", "object": "invoice", "currency": "usd"})
    work(context, [*package(1), broken, *package(2)])
    assert statuses(context.engine)[broken["id"]] == "failed"
    assert balances(context.engine) == {"user_1": 1_000, "user_2": 1_000}
    with context.engine.connect() as connection:
        error = connection.execute(
            text("SELECT error FROM webhook_events WHERE id = :id"), {"id": broken["id"]}
        ).scalar_one()
    assert error == (
        "DecodeError: invoice.paid: data.object.lines.data is missing or not of the expected type."
    )


def test_an_event_that_the_database_refuses_fails_alone(context: WorkerContext) -> None:
    """Tokens beyond a bigint: the batch is split, the others are applied, the culprit is kept."""
    huge = an_invoice(
        [a_line(9 * 10**17) for _ in range(9)], metadata={"user_id": "user_9"}, customer="cus_9"
    )
    poison = an_event("invoice.paid", huge)
    work(context, [*package(1), poison, *package(2)])
    assert statuses(context.engine)[poison["id"]] == "failed"
    assert balances(context.engine) == {"user_1": 1_000, "user_2": 1_000}
    assert context.events.length() == 0


def test_a_failed_event_is_tried_again_when_due_and_dies_in_the_end(context: WorkerContext) -> None:
    """10 s, 1 min, 10 min, 1 h, 6 h; then a person is needed."""
    broken = an_event("invoice.paid", {"id": "in_8", "object": "invoice", "currency": "usd"})
    work(context, [broken])
    delays = []
    for _ in range(5):
        with context.engine.begin() as connection:
            delays.append(
                connection.execute(
                    text("SELECT extract(epoch FROM next_attempt_at - now()) FROM webhook_events")
                ).scalar_one()
            )
            connection.execute(text("UPDATE webhook_events SET next_attempt_at = now()"))
        drain(context, lambda: None)
    assert [round(float(delay), -1) for delay in delays] == [10, 60, 600, 3_600, 21_600]
    assert statuses(context.engine) == {broken["id"]: "dead"}


def test_what_was_only_stored_is_applied_by_the_next_drain(context: WorkerContext) -> None:
    """The inbox is the queue while Redis is away."""
    with context.engine.begin() as connection:
        inbox.store(connection, [a_delivery(event) for event in package()], source="webhook")
    assert drain(context, lambda: None).applied == 2
    assert balances(context.engine) == {"user_1": 1_000}


@pytest.mark.parametrize(("at_once", "sent"), [(1, ["drain"]), (100, [])])
def test_a_drain_to_whose_inbox_events_keep_coming_asks_for_another(
    context: WorkerContext, at_once: int, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is left alone they wake nobody, and the sweep is seconds away."""
    with context.engine.begin() as connection:
        inbox.store(connection, [a_delivery(event) for event in package()], source="webhook")
    monkeypatch.setattr(BatchSize, "grow", lambda _size: None)
    context.size.events = at_once
    woken: list[str] = []
    drain(context, lambda: woken.append("drain"))
    assert woken == sent
    assert set(statuses(context.engine).values()) == {"applied"}


def test_what_a_dead_consumer_held_is_taken_over(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was killed after reading leaves its entries; the lease frees them."""
    put(context, package())
    context.events.create_group()
    assert len(context.events.read("a worker that died", 10)) == 2
    assert drain(context, lambda: None).applied == 0
    let_leases_run_out(context, monkeypatch)
    assert drain(context, lambda: None).applied == 2
    assert balances(context.engine) == {"user_1": 1_000}


def test_a_poison_message_of_the_stream_is_recorded_in_the_end(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handed out ten times and never finished: it must not go round for ever."""
    put(context, package()[1:])
    context.events.create_group()
    context.events.read("a worker that died", 10)
    let_leases_run_out(context, monkeypatch)
    for _ in range(9):
        context.events.take_over_stale("another that died", 10)
    drain(context, lambda: None)
    assert list(statuses(context.engine).values()) == ["failed"]
    assert context.events.length() == 0


def test_the_sweep_rings_once_for_what_waits(context: WorkerContext) -> None:
    """A lost wake-up, or a stored event: one more, and none when nothing waits."""
    sent: list[int] = []
    assert not sweep(context, lambda: sent.append(1))
    put(context, package())
    context.events.client.delete(WAKE_UP)
    assert sweep(context, lambda: sent.append(1))
    assert not sweep(context, lambda: sent.append(1))
    assert sent == [1]


def test_a_grant_and_its_refund_applied_at_the_same_moment_both_count(
    database_url: str, redis_url: str, context: WorkerContext
) -> None:
    """Two workers, one customer: each must see what the other has done."""
    for number in range(60):
        events = package(number)
        refund = a_refund(id=f"re_{number}", payment_intent=f"pi_{number}", charge=f"ch_{number}")
        sides = [[events[1]], [an_event("refund.created", refund), events[0]]]
        workers = [
            a_worker_context(database_url, redis_url, consumer=str(side)) for side in range(2)
        ]
        threads = [
            Thread(target=apply_alone, args=(worker, side))
            for worker, side in zip(workers, sides, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for worker in workers:
            worker.engine.dispose()
    assert balances(context.engine) == {}
    assert set(statuses(context.engine).values()) == {"applied"}


def apply_alone(context: WorkerContext, events: list[dict[str, Any]]) -> None:
    """One worker applies these events as one batch, past the stream."""
    from workers.pipeline.apply import apply, prepare  # noqa: PLC0415 - only this helper goes past it.

    works = [prepare(a_delivery(event)) for event in events]
    apply(context.engine, works, context.catalogue)
