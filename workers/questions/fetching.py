"""One run of fetching what thin events speak of, under one budget for all workers.

Only who has the turn asks, so many questions a second and no more. A run asks about some objects at
a time, a few of them at once, and commits their answers together. An object is let go only when
its answer is stored, so a worker that dies in between costs a question and loses nothing.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import metrics
import telemetry
from db.operations import reconcile as reading
from db.questions import notices
from db.questions.notices import Asking
from db.queue import inbox
from db.queue.deliveries import as_delivery
from retry import scheduled_pause
from stripe_gateway import (
    StripeGateway,
    StripeKeyRefused,
    StripeListTooLong,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
)
from workers.context import WorkerContext
from workers.pipeline.failure import described, is_away
from workers.pipeline.prepared_event import PreparedEvent, prepare
from workers.questions import answering
from workers.questions.answering import is_silence
from workers.questions.deadline import within
from workers.questions.noticed import Questions, Told
from workers.questions.turn import TURN_SECONDS, Turn, leave_reading, turn

# A run begins no further round after so many seconds; the next run asks the rest.
SECONDS_MAX = 6.0
# So many objects are in hand at once, and so many of them are asked for at the same time.
ROUND = 24
AT_ONCE = 4
# A failure of Stripe's is told when it is over; its list is read anew from so long before.
FAILURE_WINDOW_SECONDS = 86_400

log = telemetry.get_logger("notices")
# None: it was not asked for after all.
Outcome = Told | Exception | None


@dataclass(slots=True)
class Fetched:
    """What a run came to: `objects` asked for, notices `answered`, given up; what was not said.

    `spared` notices needed no question, because their snapshot event had come by itself.
    `is_unfinished` says that more is due at once.
    """

    objects: int = 0
    answered: int = 0
    spared: int = 0
    given_up: int = 0
    postponed: int = 0
    silent: int = 0
    is_unfinished: bool = False


class Pace:
    """Lets questions begin at a rate, whichever thread asks; nothing is saved up."""

    def __init__(self, a_second: float) -> None:
        self._interval = 1.0 / a_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until the next question may begin."""
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + self._interval
        time.sleep(max(0.0, at - time.monotonic()))
        metrics.stripe_asked("notice")


def fetch_noticed(context: WorkerContext) -> Fetched:
    """Fetch what is due; does nothing without a key, while another worker asks, and in a pause."""
    fetched = Fetched()
    if context.gateway is None:
        return fetched
    with context.engine.connect() as connection:
        if not notices.is_due(connection):
            return fetched
    with turn(context) as mine:
        if mine is not None and not mine.is_paused:
            _Run(context, context.gateway, mine, fetched).run()
    if fetched.objects or fetched.spared:
        log.info("thin events were asked about", **_counts(fetched))
    return fetched


def _counts(fetched: Fetched) -> dict[str, int]:
    return {name: getattr(fetched, name) for name in fetched.__slots__ if name != "is_unfinished"}


class _Run:
    def __init__(
        self, context: WorkerContext, gateway: StripeGateway, mine: Turn, fetched: Fetched
    ) -> None:
        self._context = context
        self._gateway = gateway
        self._turn = mine
        self._fetched = fetched
        self._pace = Pace(context.questions_per_second)
        self._end = time.monotonic() + SECONDS_MAX

    def run(self) -> None:
        """Ask round by round, until nothing is due, the time is up, or Stripe does not answer."""
        while askings := self._begin():
            if not self._round(askings):
                return
            if time.monotonic() > self._end:
                self._fetched.is_unfinished = True
                return

    def _begin(self) -> Sequence[Asking]:
        # After a failure a single question shows whether Stripe answers again.
        limit = 1 if self._turn.failures else ROUND
        with self._context.engine.begin() as connection:
            if not self._turn.prolong(connection):
                return ()
            return notices.begin(connection, limit, lease_seconds=TURN_SECONDS)

    def _round(self, askings: Sequence[Asking]) -> bool:
        """Ask about some objects and store the answers; False where the run must end."""
        left = self._without_known(askings)
        outcomes = dict(zip(left, self._asked(left), strict=True))
        for outcome in outcomes.values():
            if isinstance(outcome, Exception) and is_away(outcome):
                raise outcome  # The task must end; no question caused it.
        told = [(one, outcome) for one, outcome in outcomes.items() if isinstance(outcome, Told)]
        self._fetched.objects += len(told)
        if told:
            self._turn.succeeded()
            self._store(told)
        silences = []
        for asking, outcome in outcomes.items():
            if isinstance(outcome, Exception) and not self._untold(asking, outcome):
                silences.append(outcome)
        self._let_go([one for one, outcome in outcomes.items() if outcome is None])
        return not silences or answering.was_silent(self._turn, silences[0])

    def _asked(self, askings: Sequence[Asking]) -> list[Outcome]:
        """The outcome of each question, a few of them at once.

        None is begun once Stripe has left one unanswered, or the time is up.
        """
        ask = Questions(self._gateway, self._pace.wait).ask
        stop = threading.Event()

        def outcome(asking: Asking) -> Outcome:
            if stop.is_set() or time.monotonic() > self._end:
                return None
            try:
                return within(answering.QUESTION_SECONDS, partial(ask, asking))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the object.
                if is_silence(error):
                    stop.set()
                return error

        if len(askings) == 1:
            return [outcome(askings[0])]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="asks-stripe") as threads:
            return list(threads.map(outcome, askings))

    def _let_go(self, askings: Sequence[Asking]) -> None:
        """These were not asked for after all; the next run does it."""
        if askings:
            self._fetched.is_unfinished = True
            with self._context.engine.begin() as connection:
                notices.let_go(connection, [asking.object_id for asking in askings])

    def _without_known(self, askings: Sequence[Asking]) -> list[Asking]:
        """Let go of notices whose snapshot event is here already; those that are left."""
        twins = {
            noticed.twin_id
            for asking in askings
            for noticed in asking.notices
            if noticed.twin_id is not None
        }
        with self._context.engine.begin() as connection:
            stored = inbox.known(connection, twins) if twins else set()
            answers = {
                noticed.event_id: noticed.twin_id
                for asking in askings
                for noticed in asking.notices
                if noticed.twin_id is not None and noticed.twin_id in stored
            }
            notices.answered(connection, answers)
            left = [
                Asking(asking.object_id, rest, asking.asks, asking.silences)
                for asking in askings
                if (rest := tuple(one for one in asking.notices if one.event_id not in answers))
            ]
            done = {asking.object_id for asking in askings} - {one.object_id for one in left}
            notices.rested(connection, done)
        self._fetched.spared += len(answers)
        return left

    def _store(self, told: Sequence[tuple[Asking, Told]]) -> None:
        works: dict[str, PreparedEvent] = {}
        answered: list[tuple[Asking, Told]] = []
        own_account = self._own_account()
        for asking, answer in told:
            try:
                prepared = [self._prepared(event, own_account) for event in answer.events]
            except (KeyError, TypeError, ValueError) as error:
                # The answer has something that cannot be kept.
                self._postpone(asking, f"its answer cannot be used: {described(error)}")
                continue
            works |= {work.delivery.event_id: work for work in prepared}
            answered.append((asking, answer))
        answering.commit(self._context, list(works.values()))
        with self._context.engine.begin() as connection:
            for _, answer in answered:
                notices.answered(connection, dict(answer.answers))
            notices.rested(connection, [asking.object_id for asking, _ in answered])
        self._fetched.answered += sum(len(answer.answers) for _, answer in answered)
        for _, answer in answered:
            if answer.failed_at is not None:
                self._look_back(answer.failed_at)

    def _prepared(self, event: dict[str, object], own_account: str | None) -> PreparedEvent:
        return prepare(
            as_delivery(event),
            source="fetch",
            test_mode=self._context.test_mode,
            own_account=own_account,
        )

    def _own_account(self) -> str | None:
        with self._context.engine.connect() as connection:
            return self._context.own.read(connection)

    def _look_back(self, failed_at: int) -> None:
        """Stripe failed to make an event: have its list read, in case others are missing too."""
        metrics.event_generation_failed()
        log.error("stripe reports that it failed to make an event", failed_at=failed_at)
        with self._context.engine.begin() as connection:
            reading.look_again(connection, failed_at - FAILURE_WINDOW_SECONDS)
        leave_reading(self._context, goes_on=True)

    def _untold(self, asking: Asking, error: Exception) -> bool:
        """Note an object that was asked for in vain; False where Stripe said nothing at all."""
        if is_silence(error):
            pause = answering.silence_pause_seconds(asking.silences + 1)
            with self._context.engine.begin() as connection:
                notices.postponed(connection, asking, str(error), pause_seconds=pause, silent=True)
            self._fetched.silent += 1
            return False
        if isinstance(error, StripeMissing | StripeRefused | StripeListTooLong):
            self._give_up(asking, _reason(error))
        elif isinstance(error, StripeKeyRefused):
            self._postpone(asking, "the secret key may not read this; allow it at Stripe")
        else:
            log.warning("answer of stripe cannot be used", error=type(error).__name__)
            self._postpone(asking, f"its answer cannot be used: {described(error)}")
        if isinstance(error, StripeUnavailable):
            self._turn.succeeded()
        return True

    def _postpone(self, asking: Asking, says: str) -> None:
        pause = scheduled_pause(asking.asks + 1, answering.PAUSES_SECONDS)
        if pause is None:
            self._give_up(asking, says)
            return
        with self._context.engine.begin() as connection:
            notices.postponed(connection, asking, says, pause_seconds=pause, silent=False)
        self._fetched.postponed += 1

    def _give_up(self, asking: Asking, says: str) -> None:
        with self._context.engine.begin() as connection:
            ids = [noticed.event_id for noticed in asking.notices]
            notices.gave_up(connection, ids, f"{says} ({asking.object_id})")
            notices.rested(connection, [asking.object_id])
        self._fetched.given_up += len(asking.notices)
        log.warning("thin events given up", object=asking.object_id, says=says)


def _reason(error: StripeUnavailable) -> str:
    if isinstance(error, StripeMissing):
        return "Stripe knows no such object for this key, and no event of it"
    return str(error)
