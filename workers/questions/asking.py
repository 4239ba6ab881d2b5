"""One run of asking Stripe: a few questions, one at a time, for all workers together.

A question whose answer decides nothing is asked again after growing pauses, and then left to a
person. While Stripe does not answer, the worker tries a single question after each pause; no
question is given up because of that. Nothing is asked inside a transaction.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

import telemetry
from db.operations import subscription_check
from db.questions import questions
from db.questions.questions import Kind, Question
from db.queue.deliveries import as_delivery
from retry import scheduled_pause
from stripe_gateway import (
    StripeGateway,
    StripeKeyRefused,
    StripeMissing,
    StripeUnavailable,
)
from workers.context import WorkerContext
from workers.pipeline.failure import described, is_away
from workers.pipeline.prepared_event import prepare
from workers.questions import answering
from workers.questions.answers import Answered, ask
from workers.questions.deadline import within
from workers.questions.turn import TURN_SECONDS, Turn, turn

# A run begins so many questions, in so many seconds; the next run asks the rest.
QUESTIONS_MAX = 50
SECONDS_MAX = 6.0
# A session tells of its intent a moment after the intent itself was told.
GRACE_SECONDS: Mapping[Kind, float] = {Kind.PAYMENT_OF: 30.0}

log = telemetry.get_logger("questions")


@dataclass(slots=True)
class Asked:
    """How many questions a run began, and what became of them."""

    begun: int = 0
    decided: int = 0
    postponed: int = 0
    given_up: int = 0
    silent: int = 0


def ask_stripe(
    context: WorkerContext, *, grace_seconds: Mapping[Kind, float] = GRACE_SECONDS
) -> Asked:
    """Ask the questions that are due.

    Does nothing without a key, while another worker asks, and in a pause.
    """
    asked = Asked()
    if context.gateway is None:
        return asked
    with context.engine.begin() as connection:
        questions.drop_unwanted(connection)
        if not questions.due(connection, 1, grace_seconds):
            return asked
    with turn(context) as mine:
        if mine is not None and not mine.is_paused:
            _Run(context, context.gateway, mine, asked, grace_seconds).run()
    if asked.begun:
        counts = {name: getattr(asked, name) for name in asked.__slots__}
        log.info("stripe was asked", **counts)
    return asked


class _Run:
    def __init__(
        self,
        context: WorkerContext,
        gateway: StripeGateway,
        mine: Turn,
        asked: Asked,
        grace_seconds: Mapping[Kind, float],
    ) -> None:
        self._context = context
        self._gateway = gateway
        self._turn = mine
        self._asked = asked
        self._grace_seconds = grace_seconds
        self._end = time.monotonic() + SECONDS_MAX

    def run(self) -> None:
        """Ask until no question is due, the budget is spent, or Stripe does not answer."""
        while due := self._due():
            for question in due:
                if time.monotonic() > self._end or not self._one(question):
                    return

    def _due(self) -> list[Question]:
        # After a failure a single question shows whether Stripe answers again.
        left = QUESTIONS_MAX - self._asked.begun
        limit = min(left, 1) if self._turn.failures else left
        with self._context.engine.connect() as connection:
            return questions.due(connection, limit, self._grace_seconds) if limit > 0 else []

    def _one(self, question: Question) -> bool:
        """Ask one question; False where the run must end."""
        newest = None
        with self._context.engine.begin() as connection:
            if not self._turn.prolong(connection):
                return False
            if not questions.begin(connection, question, lease_seconds=TURN_SECONDS):
                return True
            if question.kind is Kind.SUBSCRIPTION:
                name = question.subject_id
                newest = subscription_check.newest_reports(connection, [name]).get(name)
        self._asked.begun += 1
        try:
            answered = within(
                answering.QUESTION_SECONDS,
                partial(ask, question.kind, question.subject_id, self._gateway, newest),
            )
        except StripeUnavailable as error:
            return self._unanswered(question, error)
        except Exception as error:
            if is_away(error):
                raise  # The task must end; the question did not cause it.
            self._odd(question, error)
        else:
            self._turn.succeeded()
            self._apply(question, answered)
        return True

    def _apply(self, question: Question, answered: Answered) -> None:
        try:
            works = [
                prepare(as_delivery(event), source="fetch", test_mode=self._context.test_mode)
                for event in answered.events
            ]
        except (TypeError, ValueError) as error:
            # The answer has something that cannot be kept.
            self._odd(question, error)
            return
        answering.commit(self._context, works)
        with self._context.engine.begin() as connection:
            if questions.is_wanted(connection, question):
                self._undecided(connection, question, f"{answered.says}; that decides nothing")
            else:
                questions.answered(connection, question)
                self._asked.decided += 1

    def _odd(self, question: Question, error: Exception) -> None:
        log.warning(
            "answer of stripe cannot be used", kind=question.kind, error=type(error).__name__
        )
        with self._context.engine.begin() as connection:
            self._undecided(connection, question, f"its answer cannot be used: {described(error)}")

    def _undecided(self, connection: Connection, question: Question, says: str) -> None:
        pause = scheduled_pause(question.asks + 1, answering.PAUSES_SECONDS)
        if pause is None:
            self._give_up(connection, question, says)
            return
        questions.postponed(connection, question, says, pause_seconds=pause, silent=False)
        self._asked.postponed += 1

    def _give_up(self, connection: Connection, question: Question, says: str) -> None:
        questions.gave_up(connection, question, says)
        self._asked.given_up += 1
        log.warning("question given up", kind=question.kind, subject=question.subject_id)

    def _unanswered(self, question: Question, error: StripeUnavailable) -> bool:
        """Stripe refused, or said nothing; returns whether to go on with other questions."""
        if not answering.is_silence(error):
            self._turn.succeeded()
            with self._context.engine.begin() as connection:
                says = _reason(error)
                if isinstance(error, StripeKeyRefused):
                    self._undecided(connection, question, says)
                else:
                    self._give_up(connection, question, says)
            return True
        pause = answering.silence_pause_seconds(question.silences + 1)
        with self._context.engine.begin() as connection:
            questions.postponed(connection, question, str(error), pause_seconds=pause, silent=True)
        self._asked.silent += 1
        return answering.was_silent(self._turn, error)


def _reason(error: StripeUnavailable) -> str:
    if isinstance(error, StripeMissing):
        return "Stripe knows no such object for this key"
    if isinstance(error, StripeKeyRefused):
        return "the secret key may not read this; allow it in Stripe's dashboard"
    return str(error)
