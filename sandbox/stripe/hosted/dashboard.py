"""The front page of the offline Stripe: what there is, a clock to advance, deliveries to spoil."""

import math
import time
from collections.abc import Callable
from contextlib import suppress

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.exceptions import BadRequest, Conflict, NotFound

from sandbox.simulate.engine import after_interval
from sandbox.simulate.versions import EVERY
from sandbox.stripe.hosted.cards import TEST_CARDS
from sandbox.stripe.views import ANSWERING, PaymentLine
from sandbox.stripe.world import World

VERSIONS = tuple(version.name for version in reversed(EVERY))
UNITS = ("minute", "hour", "day", "month", "year")
_UNIT_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}
STEPS_MAX = 400
DELAY_SECONDS_MAX = 600.0
ANSWER_SECONDS_MAX = 3_600.0
STATUSES = (500, 429)
ANSWER_WORDS = {
    "normal": "As Stripe does",
    "slow": "Late",
    "hang": "Not at all",
    "errors": "With errors",
}
DONE = {
    "clock": "The clock was advanced; what fell due has happened.",
    "switches": "Deliveries follow the new switches from now on.",
    "answers": "The API answers as was set from now on.",
    "fail_next": "The bank will refuse whatever it is asked for next.",
    "refund": "The money is given back.",
    "dispute": "The buyer's bank has taken the money back.",
    "finish_delayed": "The bank has answered.",
    "begin_anew": "Everything is forgotten: this is a new account.",
}


class DashboardPages:
    """The dashboard of one account."""

    def __init__(self, world: World) -> None:
        self._world = world

    def register(self, pages: Blueprint) -> None:
        """Add the pages to a blueprint."""
        pages.add_url_rule("/", "dashboard", self.show, methods=["GET"])
        actions: dict[str, Callable[[], None]] = {
            "clock": self.advance,
            "switches": self.switch,
            "answers": self.answer,
            "fail_next": self._world.fail_next,
            "refund": self.refund,
            "dispute": self.dispute,
            "finish_delayed": self.finish_delayed,
            "begin_anew": self.begin_anew,
        }
        for name, act in actions.items():
            pages.add_url_rule(f"/{name}", name, _then_back(name, act), methods=["POST"])

    def show(self) -> str:
        """The page."""
        board = self._world.dashboard()
        left = max(0, math.ceil(board.answering.until - time.time()))
        return render_template(
            "hosted/dashboard.html",
            board=board,
            answering_left=left,
            cards=TEST_CARDS,
            units=UNITS,
            versions=VERSIONS,
            statuses=STATUSES,
            answer_words=ANSWER_WORDS,
            notice=DONE.get(request.args.get("done", ""), ""),
        )

    def advance(self) -> None:
        """Move the clock on by so many of a unit."""
        unit = request.form.get("unit", "")
        steps = int(_number("steps", 1, STEPS_MAX))
        if unit not in UNITS:
            raise BadRequest("The clock is advanced by minutes, hours, days, months or years.")
        now = self._world.now
        self._world.advance(later(now, unit, steps) - now)

    def switch(self) -> None:
        """Set how webhooks are delivered."""
        version = request.form.get("api_version") or self._world.switches.api_version
        if version not in VERSIONS:
            raise BadRequest(f"{version} is no version that an endpoint can have.")
        self._world.set_switches(
            api_version=version,
            duplicates=_number("duplicates", 0, 100) / 100,
            shuffle="shuffle" in request.form,
            delay_seconds=_number("delay_seconds", 0, DELAY_SECONDS_MAX),
            loss=_number("loss", 0, 100) / 100,
            same_second="same_second" in request.form,
        )

    def answer(self) -> None:
        """Set how calls of the API are answered, for a time or until it is set anew."""
        kind, status = request.form.get("kind", ""), int(_number("status", 0, 599))
        if kind not in ANSWERING:
            raise BadRequest(f"Answers are one of: {', '.join(ANSWERING)}.")
        if kind == "errors" and status not in STATUSES:
            raise BadRequest("An error is 500 or 429.")
        wait = request.form.get("retry_after_seconds")
        self._world.set_answering(
            kind=kind,
            slow_seconds=_number("slow_seconds", 0, ANSWER_SECONDS_MAX),
            status=status or STATUSES[0],
            retry_after_seconds=int(_number("retry_after_seconds", 0, ANSWER_SECONDS_MAX))
            if wait
            else None,
            for_seconds=_number("for_seconds", 0, ANSWER_SECONDS_MAX),
        )

    def refund(self) -> None:
        """Give back what is left of a payment, or half of that."""
        payment = self._payment()
        if not payment.refundable:
            raise Conflict("There is nothing left to give back.")
        left = payment.amount_minor - payment.refunded_minor
        half = request.form.get("part") == "half"
        self._world.refund(payment.charge_id, max(1, left // 2) if half else None)

    def dispute(self) -> None:
        """Let the buyer's bank take a payment back."""
        self._world.dispute(self._payment().charge_id)

    def finish_delayed(self) -> None:
        """Let a bank debit arrive, or fail."""
        session_id = request.form.get("session_id", "")
        if session_id not in {debit.session_id for debit in self._world.dashboard().debits}:
            raise NotFound("No bank debit of this session is on its way.")
        self._world.finish_delayed(session_id, succeeds=request.form.get("outcome") == "succeed")

    def begin_anew(self) -> None:
        """Forget all that happened, when the box beside the button says that it is meant."""
        if "meant" not in request.form:
            raise BadRequest("Tick the box to say that everything is to be forgotten.")
        self._world.begin_anew()

    def _payment(self) -> PaymentLine:
        wanted = request.form.get("charge_id", "")
        for payment in self._world.dashboard().payments:
            if payment.charge_id == wanted:
                return payment
        raise NotFound("This payment is not on the dashboard.")


def later(now: int, unit: str, steps: int) -> int:
    """The Unix time so many minutes, hours, days, months or years after `now`.

    A month later is the same day of the next month, or that month's last day.
    """
    if unit in _UNIT_SECONDS:
        return now + steps * _UNIT_SECONDS[unit]
    return after_interval(now, unit, steps)


def _then_back(name: str, act: Callable[[], None]) -> Callable[[], Response]:
    def view() -> Response:
        act()
        return redirect(url_for("hosted.dashboard", done=name), 303)

    return view


def _number(name: str, lowest: float, highest: float) -> float:
    """A number of the form, within its bounds; raises `BadRequest` for anything else."""
    with suppress(ValueError):
        number = float(request.form.get(name, "") or lowest)
        if lowest <= number <= highest:
            return number
    raise BadRequest(f"{name} must be a number from {lowest:g} to {highest:g}.")
