"""Paused event types: kept, counted, and due at once when they are resumed."""

from sqlalchemy import Engine, text

from db.queue import inbox, pauses
from tests.pipeline import a_delivery
from tests.stripe_objects import a_session, an_event

TYPE = "checkout.session.completed"


def test_a_pause_is_one_persons_until_it_ends(engine: Engine) -> None:
    """Whoever pauses again changes nothing."""
    with engine.begin() as connection:
        assert pauses.pause(connection, TYPE, by="ada", reason="a bug")
        assert not pauses.pause(connection, TYPE, by="bob", reason=None)
        assert inbox.look(connection)[0] == {TYPE}
        (row,) = pauses.listed(connection)
        assert (row.paused_by, row.reason, row.waiting) == ("ada", "a bug", 0)
        assert pauses.resume(connection, TYPE) == 0
        assert pauses.resume(connection, TYPE) is None
        assert inbox.look(connection)[0] == frozenset()


def test_what_waited_is_due_when_its_type_is_resumed(engine: Engine) -> None:
    """Also what was to be tried only later; other types are left as they are."""
    with engine.begin() as connection:
        pauses.pause(connection, TYPE, by="ada", reason=None)
        events = [
            an_event(TYPE, a_session(), event_id="evt_1"),
            an_event("checkout.session.expired", a_session(), event_id="evt_2"),
        ]
        inbox.store(connection, [a_delivery(event) for event in events], source="webhook")
        connection.execute(
            text("UPDATE webhook_events SET next_attempt_at = now() + interval '1 hour'")
        )
        (row,) = pauses.listed(connection)
        assert row.waiting == 1
        assert pauses.resume(connection, TYPE) == 1
        due = text("SELECT id FROM webhook_events WHERE next_attempt_at <= now()")
        assert connection.execute(due).scalars().all() == ["evt_1"]
