"""The inbox: each event once, with what became of it, and what waits."""

from collections.abc import Mapping

import pytest
from sqlalchemy import Connection, Engine, text

from db.queue import inbox
from db.queue.inbox import NAME_LENGTH_MAX, LockedRow, Outcome
from domain.events import Delivery, EventStatus
from tests.pipeline import a_delivery, statuses
from tests.stripe_objects import a_session, an_event

APPLIED = Outcome(EventStatus.APPLIED, object_id="cs_1", customer_id="cus_1", user_id="user_1")


def deliveries(*ids: str) -> list[Delivery]:
    """Deliveries with these ids."""
    return [
        a_delivery(an_event("checkout.session.completed", a_session(), event_id=event_id))
        for event_id in ids
    ]


def row(connection: Connection, event_id: str = "evt_1") -> Mapping[str, object]:
    """What the inbox keeps of an event."""
    query = text("SELECT * FROM webhook_events WHERE id = :id")
    return dict(connection.execute(query, {"id": event_id}).mappings().one())


def test_an_event_is_stored_once(engine: Engine) -> None:
    """What is there already is left as it is, whoever brings it again."""
    with engine.begin() as connection:
        assert inbox.store(connection, deliveries("evt_1", "evt_2"), source="webhook") == 2
        inbox.finish(connection, {"evt_1": APPLIED}, {"evt_1": 1})
        assert inbox.store(connection, deliveries("evt_1", "evt_3"), source="reconcile") == 1
        assert row(connection)["source"] == "webhook"
        assert inbox.store(connection, [], source="webhook") == 0
    assert statuses(engine) == {"evt_1": "applied", "evt_2": "received", "evt_3": "received"}


def test_what_is_stored_is_due_until_it_is_finished_or_paused(engine: Engine) -> None:
    """A drain is asked for while anything waits that may be tried."""
    with engine.begin() as connection:
        assert not inbox.is_due(connection)
        inbox.store(connection, deliveries("evt_1"), source="webhook")
        assert inbox.is_due(connection)
        connection.execute(
            text("INSERT INTO paused_types (type, paused_by) SELECT type, 'a' FROM webhook_events")
        )
        assert not inbox.is_due(connection)
        connection.execute(text("DELETE FROM paused_types"))
        inbox.finish(connection, {"evt_1": APPLIED}, {"evt_1": 1})
        assert not inbox.is_due(connection)


def test_a_failure_is_due_after_its_delay(engine: Engine) -> None:
    """Not now, and it says why."""
    failed = Outcome(EventStatus.FAILED, error="no plan", retry_in_seconds=60.0)
    with engine.begin() as connection:
        inbox.insert(
            connection, deliveries("evt_1"), {"evt_1": failed}, sources={"evt_1": "webhook"}
        )
        assert not inbox.is_due(connection)
        kept = row(connection)
        waits = text("SELECT extract(epoch FROM next_attempt_at - now()) FROM webhook_events")
        assert (kept["error"], kept["attempts"], kept["applied_at"]) == ("no plan", 1, None)
        assert connection.execute(waits).scalar_one() == pytest.approx(60)


def test_an_insert_says_what_is_new(engine: Engine) -> None:
    """The facts of those alone are applied: two deliveries of one event have one effect."""
    outcomes = dict.fromkeys(("evt_1", "evt_2"), APPLIED)
    sources = dict.fromkeys(outcomes, "webhook")
    with engine.begin() as connection:
        first = inbox.insert(connection, deliveries("evt_1"), outcomes, sources=sources)
        both = inbox.insert(connection, deliveries("evt_2", "evt_1"), outcomes, sources=sources)
        assert (first, both) == ({"evt_1"}, {"evt_2"})
        assert row(connection)["applied_at"] is not None


def test_what_is_known_of_an_event_is_not_forgotten(engine: Engine) -> None:
    """A later failure names no customer; the earlier report did."""
    with engine.begin() as connection:
        inbox.store(connection, deliveries("evt_1"), source="webhook")
        inbox.finish(connection, {"evt_1": APPLIED}, {"evt_1": 1})
        applied_at = row(connection)["applied_at"]
        inbox.finish(connection, {"evt_1": Outcome(EventStatus.DEAD, error="x")}, {"evt_1": 2})
        kept = row(connection)
        assert (kept["customer_id"], kept["user_id"]) == ("cus_1", "user_1")
        assert (kept["status"], kept["attempts"], kept["applied_at"]) == ("dead", 2, applied_at)
        inbox.finish(connection, {}, {})


@pytest.mark.parametrize("length", [NAME_LENGTH_MAX, NAME_LENGTH_MAX + 1])
def test_a_name_that_no_index_takes_is_left_out(engine: Engine, length: int) -> None:
    """The failure of an event must be recordable; four bytes a character is the most."""
    long = Outcome(EventStatus.DEAD, user_id="\U0001f600" * length)
    with engine.begin() as connection:
        inbox.insert(connection, deliveries("evt_1"), {"evt_1": long}, sources={"evt_1": "webhook"})
        kept = row(connection)["user_id"]
        assert kept == (long.user_id if length == NAME_LENGTH_MAX else None)


def test_notes_add_up(engine: Engine) -> None:
    """What could not be used, after what was noted before."""
    with engine.begin() as connection:
        inbox.store(connection, deliveries("evt_1"), source="webhook")
        inbox.annotate(connection, {"evt_1": "one"})
        inbox.annotate(connection, {"evt_1": "two"})
        inbox.annotate(connection, {})
        assert row(connection)["note"] == "one; two"


def test_locked_rows_are_nobody_elses_until_the_commit(engine: Engine) -> None:
    """Who asks for them by `replay` waits; who looks for work passes them by."""
    with engine.begin() as connection:
        inbox.store(connection, deliveries("evt_1", "evt_2"), source="webhook")
    with engine.begin() as connection, engine.begin() as other:
        locked = inbox.lock_rows(connection, ["evt_1", "evt_none"])
        assert locked == {"evt_1": LockedRow(EventStatus.RECEIVED, 0)}
        free = text("SELECT id FROM webhook_events FOR UPDATE SKIP LOCKED")
        assert other.execute(free).scalars().all() == ["evt_2"]
        assert inbox.known(other, ["evt_1", "evt_none"]) == {"evt_1"}
