"""Has Stripe expire the sessions that nobody may pay any more: a second plan, a second trial.

The checkout service expires a buyer's other sessions before it hands one out. This module is for
what happens later or elsewhere: a plan bought by a payment link or in the dashboard, a trial begun
there, sessions of earlier releases.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import telemetry
from db.checkout import purchases, superseded
from db.checkout.superseded import Payable
from stripe_gateway import StripeGateway, StripeMissing, StripeRefused, StripeUnavailable
from workers.context import WorkerContext
from workers.questions.deadline import within
from workers.questions.turn import Turn, turn

# A run looks at so many sessions and asks Stripe about so few, as a question may take seconds.
PAYABLE_MAX = 200
QUESTIONS_MAX = 5
QUESTION_SECONDS = 6.0

log = telemetry.get_logger("superseded")


def expire_superseded(context: WorkerContext) -> int:
    """Expire a few sessions; returns how many have ended. Does nothing without a key.

    Nothing is asked inside a transaction, and whatever is not done is found again by the next run.
    """
    if context.gateway is None:
        return 0
    with context.engine.begin() as connection:
        payable = superseded.taken(connection, PAYABLE_MAX)
    with context.engine.connect() as connection:
        ruled_out = [
            item
            for item in payable
            if superseded.is_superseded(connection, item, one_trial=context.trials == "once")
        ]
    if not ruled_out:
        return 0
    with turn(context) as mine:
        if mine is None or mine.is_paused:
            return 0
        return sum(_ended(context, context.gateway, mine, ruled_out[:QUESTIONS_MAX]))


def _ended(
    context: WorkerContext, gateway: StripeGateway, mine: Turn, ruled_out: Sequence[Payable]
) -> Iterator[bool]:
    """Ask Stripe to expire one session after the other, until it does not answer."""
    for payable in ruled_out:
        with context.engine.begin() as connection:
            if not mine.prolong(connection):
                return
            superseded.count_try(connection, payable)
        try:
            state = within(QUESTION_SECONDS, partial(_end_of, payable, gateway))
        except StripeUnavailable as error:
            mine.failed(error.detail)
            return
        mine.succeeded()
        yield _noted(context, payable, state)


def _end_of(payable: Payable, gateway: StripeGateway) -> str | None:
    """How the session ended; None while it is open although Stripe was asked to expire it."""
    try:
        gateway.expire_checkout_session(payable.session_id)
    except StripeMissing:
        return "lost"
    except StripeRefused:
        # It is not open any more, or is being paid at this moment.
        status = gateway.checkout_session(payable.session_id).get("status")
        return status if status in ("complete", "expired") else None
    return "expired"


def _noted(context: WorkerContext, payable: Payable, state: str | None) -> bool:
    if state is None:
        log.warning("stripe does not expire a session", session=payable.session_id)
        return False
    with context.engine.begin() as connection:
        purchases.end(connection, payable.purchase_id, state)
    log.info("superseded session ended", session=payable.session_id, state=state)
    return True
