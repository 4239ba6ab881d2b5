"""How far Stripe's list has been read: a cursor that only moves up, and a window below it."""

from sqlalchemy import Engine

from db.operations import reconcile
from db.operations.reconcile import Progress, Window


def test_nothing_is_read_at_first(engine: Engine) -> None:
    """There is neither a cursor nor a window."""
    with engine.begin() as connection:
        assert reconcile.progress(connection) == Progress()
        assert reconcile.newest_received(connection) is None


def test_an_interrupted_reading_keeps_its_window_and_moves_no_cursor(engine: Engine) -> None:
    """The list comes newest first: what lies between is not read yet."""
    with engine.begin() as connection:
        reconcile.move_cursor(connection, 50)
        for after in ("evt_9", "evt_8"):
            reconcile.keep_window(connection, Window(40, 90, after))
        kept = reconcile.progress(connection)
        assert (kept.cursor, kept.window, kept.idle_seconds) == (50, Window(40, 90, "evt_8"), 0.0)


def test_a_reading_that_has_come_down_moves_the_cursor_up(engine: Engine) -> None:
    """And closes the window; a cursor that is further on stays."""
    with engine.begin() as connection:
        reconcile.keep_window(connection, Window(40, 90, "evt_8"))
        for newest in (90, 60):
            reconcile.move_cursor(connection, newest)
            kept = reconcile.progress(connection)
            assert (kept.cursor, kept.window) == (90, None)
