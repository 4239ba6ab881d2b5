"""What all questions have in common: how an answer is committed, and what Stripe's silence is.

The pauses are the same too, so that who reads of a question knows when it is asked again.
"""

from collections.abc import Sequence
from http import HTTPStatus

from retry import scheduled_pause
from stripe_gateway import (
    StripeBusy,
    StripeKeyRefused,
    StripeListTooLong,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
)
from workers.context import WorkerContext
from workers.pipeline.batch import apply_batch
from workers.pipeline.prepared_event import PreparedEvent
from workers.pipeline.report import committed
from workers.questions.turn import Turn

# One question may take so long, whatever it takes to read its whole list.
QUESTION_SECONDS = 12.0
# After answers that decide nothing; after the last it is left to a person.
PAUSES_SECONDS: Sequence[float] = (10, 60, 600, 3_600, 21_600, 86_400, 86_400)
# While Stripe does not answer, the same pauses are used, up to this one.
SILENCE_SECONDS_MAX = 600.0


def commit(context: WorkerContext, works: Sequence[PreparedEvent]) -> None:
    """Apply the events of an answer, and tell whoever streams to those it is about."""
    if not works:
        return
    delays = context.retry_delays_seconds
    for applied in apply_batch(
        context.engine, works, context.catalogue, retry_delays_seconds=delays
    ):
        context.hint(applied.derived.told)
        committed(applied)


def is_silence(error: Exception) -> bool:
    """Whether Stripe answered nothing that is about the object asked for."""
    if isinstance(error, StripeMissing | StripeRefused | StripeListTooLong):
        return False
    is_refusal = isinstance(error, StripeKeyRefused) and error.status == HTTPStatus.FORBIDDEN
    return isinstance(error, StripeUnavailable) and not is_refusal


def silence_pause_seconds(silences: int) -> float:
    """How long to wait after so many questions in a row that Stripe did not answer."""
    pause = scheduled_pause(silences, PAUSES_SECONDS) or SILENCE_SECONDS_MAX
    return min(pause, SILENCE_SECONDS_MAX)


def was_silent(turn: Turn, error: Exception) -> bool:
    """Note in the turn that Stripe did not answer; whether another question may be tried now."""
    wished = error.wait_seconds if isinstance(error, StripeBusy) else None
    detail = error.detail if isinstance(error, StripeUnavailable) else type(error).__name__
    return turn.failed(detail, wished_seconds=wished)
