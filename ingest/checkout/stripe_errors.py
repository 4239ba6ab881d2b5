"""Turns a failure of Stripe into the problem that the caller is answered.

No answer quotes Stripe's own text, which names parameters, objects and settings of the account. It
carries Stripe's request id, because Stripe's support asks for that.
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

_log = telemetry.get_logger("ingest.checkout.stripe_errors")


def register(app: Flask) -> None:
    """Answer every failure of Stripe with a problem."""
    app.register_error_handler(StripeUnavailable, _answer)


def failed() -> Problem:
    """The problem where Stripe's answer lacks what was asked for."""
    return FAILED.problem(headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def problem_of(error: StripeUnavailable) -> Problem:
    """The problem that a failure of Stripe is to the caller."""
    problem_type = _type_of(error)
    headers = {}
    if problem_type.status == http.HTTPStatus.SERVICE_UNAVAILABLE or problem_type is FAILED:
        wait_seconds = error.wait_seconds if isinstance(error, StripeBusy) else None
        headers["Retry-After"] = str(wait_seconds or RETRY_AFTER_SECONDS)
    members = {"stripe_request_id": error.request_id} if error.request_id else {}
    return problem_type.problem(headers=headers, members=members)


def _type_of(error: StripeUnavailable) -> ProblemType:
    if error.status is None:
        return UNREACHABLE
    if isinstance(error, StripeKeyRefused):
        return KEY_REFUSED
    # A conflict means that Stripe is handling the same request at this moment.
    if isinstance(error, StripeBusy) or error.status == http.HTTPStatus.CONFLICT:
        return BUSY
    if error.status == http.HTTPStatus.PAYMENT_REQUIRED:
        return PAYMENT_REFUSED
    if isinstance(error, (StripeRefused, StripeMissing)):
        return REFUSED
    return FAILED


def _answer(error: StripeUnavailable) -> Response:
    problem = problem_of(error)
    fields = {
        "problem": problem.code,
        "detail": error.detail,
        "stripe_code": error.code,
        "param": error.param,
        "stripe_request_id": error.request_id,
    }
    if isinstance(error, StripeKeyRefused):
        _log.error("stripe does not accept STRIPE_SECRET_KEY: check key and its rights", **fields)
    else:
        _log.warning("stripe could not be asked", **fields)
    return problem.response()
