"""The turn at asking Stripe: one worker process at a time has it.

After two failures in a row no process asks for a while. So a Stripe that hangs blocks at most one
process of all workers, and mostly none.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

import telemetry
from db.questions import notices, questions, stripe_turn
from retry import Backoff
from stripe_gateway import StripeGateway, StripeUnavailable
from workers.context import WorkerContext

# Longer than the hard time limit of every task that asks, so that no two of them ever ask at once.
TURN_SECONDS = 45.0
# One failure may be a hiccup.
FAILURES_MAX = 2
# Not longer, because something else than Stripe itself may be what fails, and others wait.
BACKOFF = Backoff(first_seconds=5.0, longest_seconds=60.0)

log = telemetry.get_logger("questions")


class Turn:
    """The turn in this process, after `failures` in a row; while it `is_paused`, do not ask."""

    def __init__(self, engine: Engine, holder: str, had: stripe_turn.Turn) -> None:
        self._engine = engine
        self._holder = holder
        self.failures = had.failures
        self.is_paused = had.is_paused

    def prolong(self, connection: Connection) -> bool:
        """Extend the turn to its whole time from now; False if it ran out and another has it."""
        return stripe_turn.take(connection, self._holder, lease_seconds=TURN_SECONDS) is not None

    def succeeded(self) -> None:
        """Note that Stripe answered; questions that waited only for that are due."""
        if not self.failures:
            return
        was_paused = self.failures >= FAILURES_MAX
        self.failures = 0
        with self._engine.begin() as connection:
            stripe_turn.succeeded(connection)
            hastened = _hasten(connection) if was_paused else 0
        if was_paused:
            log.info("stripe answers again", questions=hastened)

    def failed(self, detail: str, *, wished_seconds: float | None = None) -> bool:
        """Note that Stripe did not answer; returns whether another question may be tried now."""
        self.failures += 1
        pause = BACKOFF.pause_seconds(self.failures - FAILURES_MAX + 1)
        goes_on = self.failures < FAILURES_MAX and wished_seconds is None
        if wished_seconds is not None:
            pause = min(max(wished_seconds, BACKOFF.first_seconds), BACKOFF.longest_seconds)
        with self._engine.begin() as connection:
            stripe_turn.failed(connection, pause_seconds=0.0 if goes_on else pause)
        log.warning("stripe cannot be asked", detail=detail, failures=self.failures)
        return goes_on


def _hasten(connection: Connection) -> int:
    return questions.hasten(connection) + notices.hasten(connection)


@contextmanager
def turn(context: WorkerContext) -> Iterator[Turn | None]:
    """The turn for as long as the block runs; None while another process has it."""
    holder = uuid.uuid4().hex
    with context.engine.begin() as connection:
        had = stripe_turn.take(connection, holder, lease_seconds=TURN_SECONDS)
    if had is None:
        yield None
        return
    try:
        yield Turn(context.engine, holder, had)
    finally:
        with context.engine.begin() as connection:
            stripe_turn.give_back(connection, holder)


def in_turn(context: WorkerContext, ask: Callable[[StripeGateway], None]) -> None:
    """Call `ask` in this process's turn; does nothing without a key, and in a pause.

    `ask` may raise `StripeUnavailable`; that counts as a failure like any other.
    """
    if context.gateway is None:
        return
    with turn(context) as mine:
        if mine is None or mine.is_paused:
            return
        try:
            ask(context.gateway)
        except StripeUnavailable as error:
            mine.failed(error.detail)
        else:
            mine.succeeded()


def leave_reading(
    context: WorkerContext, *, after_outage: bool = False, goes_on: bool = False
) -> None:
    """Store that a reading of Stripe's list waits for its turn; the options are the task's."""
    cause = "goes_on" if goes_on else "after_outage" if after_outage else "tick"
    with context.engine.begin() as connection:
        stripe_turn.wait(connection, cause)


def next_reading(context: WorkerContext) -> str | None:
    """The cause of a reading that waits and may begin now; None where none waits."""
    with context.engine.begin() as connection:
        return stripe_turn.next_waiting(connection)
