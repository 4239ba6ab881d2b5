"""Whose turn it is to ask Stripe: one at a time, with pauses where Stripe does not answer."""

from sqlalchemy import Engine, text

from db.questions import stripe_turn
from db.questions.stripe_turn import Turn


def test_one_has_the_turn_and_it_runs_out(engine: Engine) -> None:
    """Its holder may have it longer; after the lease it is free for others."""
    with engine.begin() as connection:
        assert stripe_turn.take(connection, "a", lease_seconds=60) == Turn(0, is_paused=False)
        assert stripe_turn.take(connection, "b", lease_seconds=60) is None
        assert stripe_turn.take(connection, "a", lease_seconds=0) is not None
        assert stripe_turn.take(connection, "b", lease_seconds=60) is not None


def test_only_the_holder_gives_it_back(engine: Engine) -> None:
    """One that outlived its lease does not end another's turn."""
    with engine.begin() as connection:
        stripe_turn.take(connection, "a", lease_seconds=60)
        stripe_turn.give_back(connection, "b")
        assert stripe_turn.take(connection, "c", lease_seconds=60) is None
        stripe_turn.give_back(connection, "a")
        assert stripe_turn.take(connection, "c", lease_seconds=60) is not None


def test_failures_in_a_row_pause_everyone_until_stripe_answers(engine: Engine) -> None:
    """How long it has failed is told, and forgotten with the first answer."""
    with engine.begin() as connection:
        stripe_turn.take(connection, "a", lease_seconds=60)
        assert stripe_turn.trouble(connection) is None
        for _ in range(2):
            stripe_turn.failed(connection, pause_seconds=60)
        assert stripe_turn.take(connection, "a", lease_seconds=60) == Turn(2, is_paused=True)
        trouble = stripe_turn.trouble(connection)
        assert trouble is not None
        assert trouble.failures == 2
        assert stripe_turn.succeeded(connection)
        assert not stripe_turn.succeeded(connection)
        assert stripe_turn.trouble(connection) is None


def test_the_most_urgent_reading_waits_for_the_turn(engine: Engine) -> None:
    """It is handed out once, and not while another asks or in a pause."""
    with engine.begin() as connection:
        stripe_turn.take(connection, "a", lease_seconds=60)
        for cause in ("tick", "goes_on", "after_outage"):
            stripe_turn.wait(connection, cause)
        assert stripe_turn.next_waiting(connection) is None
        stripe_turn.give_back(connection, "a")
        stripe_turn.failed(connection, pause_seconds=60)
        assert stripe_turn.next_waiting(connection) is None
        connection.execute(text("UPDATE stripe_turn SET pause_until = now()"))
        assert stripe_turn.next_waiting(connection) == "goes_on"
        assert stripe_turn.next_waiting(connection) is None
