"""What Stripe's refusals and silences are to a caller: problems with codes that never change.

Stripe's own words go to nobody: they name parameters, objects and settings of the account. Its
request id is told, because Stripe's support asks for it.
"""

import http

from flask import Flask, Response

import telemetry
from ingest.http.problems import RETRY_AFTER_SECONDS, Problem, ProblemType
from stripe_gateway import (
    StripeBusy,
    StripeKeyRefused,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
)

DISABLED = ProblemType(503, "stripe_disabled", "Stripe is not enabled")
UNREACHABLE = ProblemType(
    503, "stripe_unreachable", "Stripe does not answer at the moment; try again soon."
)
BUSY = ProblemType(503, "stripe_busy", "Stripe is asked too much at the moment; try again soon.")
KEY_REFUSED = ProblemType(
    503, "stripe_key_refused", "Checkout is not possible at the moment; the operator has to act."
)
FAILED = ProblemType(
    502, "stripe_error", "Stripe failed to do what it was asked for; try again soon."
)
REFUSED = ProblemType(
    502,
    "stripe_refused",
    "Stripe refuses what it was asked for; the operator finds the reason in the log.",
)
PAYMENT_REFUSED = ProblemType(402, "payment_refused", "The payment was refused; try another one.")

PROBLEMS = (PAYMENT_REFUSED, FAILED, REFUSED, DISABLED, UNREACHABLE, BUSY, KEY_REFUSED)

_log = telemetry.get_logger("ingest.stripe")


def register(app: Flask) -> None:
    """Answer whatever Stripe does not do with a problem."""
    app.register_error_handler(StripeUnavailable, _answer)


def failed() -> Problem:
    """The problem where Stripe answered with something that is no answer."""
    return FAILED.problem(headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def problem_of(error: StripeUnavailable) -> Problem:
    """The problem that a failure of Stripe is to the caller."""
    problem_type = _type_of(error)
    headers = {}
    if problem_type.status == http.HTTPStatus.SERVICE_UNAVAILABLE or problem_type is FAILED:
        wished = error.wait_seconds if isinstance(error, StripeBusy) else None
        headers["Retry-After"] = str(wished or RETRY_AFTER_SECONDS)
    members = {"stripe_request_id": error.request_id} if error.request_id else {}
    return problem_type.problem(headers=headers, members=members)


def _type_of(error: StripeUnavailable) -> ProblemType:
    if error.status is None:
        return UNREACHABLE
    if isinstance(error, StripeKeyRefused):
        return KEY_REFUSED
    # A conflict says that the same question is being answered at this moment.
    if isinstance(error, StripeBusy) or error.status == http.HTTPStatus.CONFLICT:
        return BUSY
    if error.status == http.HTTPStatus.PAYMENT_REQUIRED:
        return PAYMENT_REFUSED
    if isinstance(error, (StripeRefused, StripeMissing)):
        return REFUSED
    return FAILED


def _answer(error: StripeUnavailable) -> Response:
    problem = problem_of(error)
    about = {
        "problem": problem.code,
        "detail": error.detail,
        "stripe_code": error.code,
        "param": error.param,
        "stripe_request_id": error.request_id,
    }
    if isinstance(error, StripeKeyRefused):
        _log.error("stripe does not accept STRIPE_SECRET_KEY: check key and its rights", **about)
    else:
        _log.warning("stripe could not be asked", **about)
    return problem.response()
