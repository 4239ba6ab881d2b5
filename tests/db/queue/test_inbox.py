"""The inbox: each event once, with what became of it, and what waits."""

import time
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import cast

import pytest
from sqlalchemy import Connection, Engine, text

from db import copying
from db.queue import inbox
from db.queue.inbox import LockedRow, Outcome
from db.queue.inbox_rows import NAME_LENGTH_MAX
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


def row(connection: Connection, event_id: str = "evt_1") -> dict[str, object]:
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


@pytest.fixture(params=["inserted", "copied"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Few rows go over in a statement, many by COPY."""
    monkeypatch.setattr(copying, "COPIED_MIN", 1 if request.param == "copied" else 1_000)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_every_column_is_kept(engine: Engine) -> None:
    """Whichever way a row goes, the table has the same of it."""
    [delivery] = deliveries("evt_1")
    delivery = delivery._replace(
        created=1_790_000_001, received_ms=1_790_000_002_345, signature="t=1,v1=ab"
    )
    waits = Outcome(EventStatus.FAILED, note="a\tnote\nof \\N", error="é", retry_in_seconds=1.5)
    outcomes = {"evt_1": waits, "evt_2": APPLIED}
    with engine.begin() as connection:
        new = inbox.insert(
            connection,
            [delivery, *deliveries("evt_2")],
            outcomes,
            sources={"evt_1": "webhook", "evt_2": "fetch"},
        )
        began = connection.execute(text("SELECT now()")).scalar_one()
        first, second = row(connection), row(connection, "evt_2")
    assert new == {"evt_1", "evt_2"}
    assert bytes(cast("bytes", first.pop("body"))) == delivery.body
    assert first == {
        "id": "evt_1",
        "type": "checkout.session.completed",
        "created_at": datetime.fromtimestamp(1_790_000_001, UTC),
        "status": "failed",
        **dict.fromkeys(("object_id", "customer_id", "user_id", "applied_at")),
        "source": "webhook",
        "received_at": datetime.fromtimestamp(1_790_000_002, UTC) + timedelta(milliseconds=345),
        "attempts": 1,
        "next_attempt_at": began + timedelta(seconds=1.5),
        "note": "a\tnote\nof \\N",
        "error": "é",
        "signature": "t=1,v1=ab",
    }
    assert second["signature"] is None
    assert (second["object_id"], second["customer_id"]) == ("cs_1", "cus_1")
    assert (second["user_id"], second["source"]) == ("user_1", "fetch")
    assert (second["status"], second["next_attempt_at"]) == ("applied", None)
    assert cast("datetime", second["applied_at"]) > began


def test_two_that_bring_one_event_at_once_both_end(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later one waits for the earlier one, then has only what the earlier one had not."""
    monkeypatch.setattr(copying, "COPIED_MIN", 1)
    outcomes = dict.fromkeys(("evt_1", "evt_2", "evt_3"), APPLIED)
    sources = dict.fromkeys(outcomes, "webhook")
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    found: list[set[str]] = []

    def bring() -> None:
        with engine.begin() as connection:
            both = deliveries("evt_1", "evt_2", "evt_3")
            found.append(inbox.insert(connection, both, outcomes, sources=sources))

    with engine.begin() as connection:
        inbox.insert(connection, deliveries("evt_2"), outcomes, sources=sources)
        later = Thread(target=bring)
        later.start()
        deadline = time.monotonic() + 10
        while not connection.execute(waits).scalar_one() and time.monotonic() < deadline:
            time.sleep(0.01)
    later.join(10)
    assert found == [{"evt_1", "evt_3"}]


@pytest.mark.usefixtures("way")
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
