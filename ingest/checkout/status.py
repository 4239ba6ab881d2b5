"""The status of a checkout session, for the page that the buyer comes back to.

Only our tables say `complete`. While events are late, the receiver asks Stripe once and backfills
the answer. The page never fails because Stripe cannot be asked.
"""

import re
import time
from typing import Any

import telemetry
from db.checkout import purchases, sessions
from db.checkout.sessions import Session
from ingest.checkout import backfill
from ingest.checkout.deadline import Deadline
from ingest.checkout.schemas import SessionSchema
from ingest.context import ReceiverContext, current_context
from ingest.http.auth import authenticate_with, current_caller
from ingest.http.problems import ProblemType
from ingest.http.routes import Routes
from stripe_gateway import StripeUnavailable

# However often the page asks, the receiver asks Stripe no more often than this.
ASK_EVERY_SECONDS = 5.0
ASK_SECONDS = 6.0
# Workers apply in milliseconds. The page asks again soon, so the request waits no longer.
APPLY_SECONDS = 1.0
POLL_SECONDS = 0.05

UNKNOWN = ProblemType(404, "session_not_found", "There is no such checkout session of yours.")
WAITING = ("open", "processing")

_SESSION_ID = re.compile(r"cs_[A-Za-z0-9_]{1,250}")
_log = telemetry.get_logger("ingest.checkout.status")

routes = Routes(
    "checkout_status",
    "What came of purchases.",
    prefix="/billing",
    guard=authenticate_with(lambda: current_context().authenticator),
)


@routes.get(
    "/stripe/checkout-session/<session_id>/",
    "getCheckoutSession",
    SessionSchema,
    problems=[UNKNOWN],
)
def get_checkout_session(session_id: str) -> dict[str, Any]:
    """Show what came of one of the caller's checkout sessions.

    complete means that tokens and subscription are there. Ask again while it is processing; a
    second between two questions is enough.
    """
    context, user_id = current_context(), current_caller().user_id
    session = _read(context, user_id, session_id)
    if session.known.status in WAITING and (outdated := _ask_stripe(context, session, session_id)):
        end = time.monotonic() + APPLY_SECONDS
        session = _read(context, user_id, session_id)
        while session.known.status in outdated and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            session = _read(context, user_id, session_id)
    return {
        "session_id": session_id,
        "status": session.known.status,
        "plan_id": session.plan_id,
        "tokens_granted": session.known.tokens if session.known.status == "complete" else 0,
        "subscription_id": session.known.subscription_id,
    }


def _read(context: ReceiverContext, user_id: str, session_id: str) -> Session:
    if _SESSION_ID.fullmatch(session_id):
        with context.engine.connect() as connection:
            session = sessions.of_user(connection, user_id, session_id)
        if session:
            return session
    raise UNKNOWN.problem()


def _ask_stripe(context: ReceiverContext, session: Session, session_id: str) -> tuple[str, ...]:
    """Ask Stripe; the statuses that its answer will soon replace in our tables, or none."""
    gateway, purchase_id = context.gateway, session.purchase_id
    if gateway is None or purchase_id is None:
        return ()
    with context.engine.begin() as connection:
        if not sessions.may_ask(connection, purchase_id, every_seconds=ASK_EVERY_SECONDS):
            return ()
    try:
        answer = Deadline(ASK_SECONDS).ask(
            lambda: gateway.checkout_session(session_id, expand=backfill.EXPAND)
        )
    except StripeUnavailable as error:
        _log.warning("stripe cannot be asked", detail=error.detail)
        return ()
    status = answer.get("status")
    if status not in ("complete", "expired"):
        return ()
    backfill.store(context.intake, answer, gateway.api_version)
    with context.engine.begin() as connection:
        purchases.end(connection, purchase_id, status)
    # A bank debit stays in processing for days; no request waits for that.
    is_debit = status == "complete" and answer.get("payment_status") == "unpaid"
    return ("open",) if is_debit else WAITING
