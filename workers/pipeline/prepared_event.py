"""A prepared event: decoded, failed or scheduled for a retry. Nothing here reads a store."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import orjson
from celery.exceptions import SoftTimeLimitExceeded

from db.bodies import UnknownDictionaryError, decompress
from db.queue.attempts import Request
from db.queue.inbox import FOR_A_NEWER_WORKER, Outcome
from db.queue.leases import KILLED
from domain.decode import Decoded, decode, ignorance, notice_of, parse
from domain.decode.facts import Fact
from domain.events import Delivery, EventStatus, Notice
from domain.origin import Reason, Stranger, stranger
from retry import scheduled_pause
from workers.pipeline.failure import described, traced

# What is noted of an event with a cut list. It stays true; whether its object still waits for the
# whole list is said by the tables, and shown beside this.
CUT = "its list is cut (has_more); the whole one is asked of Stripe"
CUT_FOR_GOOD = (
    "its list is cut (has_more), and without STRIPE_SECRET_KEY nobody can be asked for the whole"
)
# What is noted of a thin event until Stripe has answered.
FOR_AN_ANSWER = "waits for Stripe to tell what it speaks of"
NOTICED_AGAIN_SECONDS = 3_600.0
# An event that this release cannot read is due again after a quarter of its age, within these.
LEFT_SECONDS_MIN, LEFT_SECONDS_MAX = 2.0, 30.0
# To ask an enum's class for a member costs three times as much as a name does.
_APPLIED, _IGNORED = EventStatus.APPLIED, EventStatus.IGNORED


class PreparedEvent(NamedTuple):
    """An event ready to be applied: its facts, and what is to be recorded of it.

    `attempts` counts earlier attempts. `is_stored` says that the inbox has the event already.
    `source` is the way by which it came. With a `request` of a person it is applied whatever its
    status is; `was` is that status. `stranger` says why an event that is not ours was not decoded.
    A `notice` is what Stripe is to be asked about.
    """

    delivery: Delivery
    facts: tuple[Fact, ...]
    outcome: Outcome
    attempts: int = 0
    is_stored: bool = False
    source: str = "webhook"
    request: Request | None = None
    was: EventStatus | None = None
    stranger: Reason | None = None
    notice: Notice | None = None

    @property
    def keeps_status(self) -> bool:
        """Whether the event had its effect before and has none now, so that its status stays."""
        return self.was is EventStatus.APPLIED and self.outcome.status is not EventStatus.APPLIED

    @property
    def waits(self) -> bool:
        """Whether it only waits for something: then this was no attempt."""
        return self.outcome.status is EventStatus.RECEIVED

    @property
    def is_left(self) -> bool:
        """Whether it is left for a worker of a newer release: then this was no attempt."""
        is_waiting = self.outcome.status is EventStatus.RECEIVED
        return is_waiting and self.outcome.note == FOR_A_NEWER_WORKER


def prepare(
    delivery: Delivery,
    *,
    attempts: int = 0,
    is_stored: bool = False,
    source: str = "webhook",
    test_mode: bool | None = None,
    can_ask: bool = True,
    own_account: str | None = None,
) -> PreparedEvent:
    """Decode a delivery. What cannot be decoded becomes a failed event, never an exception.

    What a newer release compressed is left for one.

    `test_mode` is which of Stripe's modes this product serves, `own_account` our Stripe account: an
    event of the other mode or of another account becomes an ignored event and is not looked into.
    No `test_mode` asks for no check, for events that were let in before; without `own_account`
    every event that names an account is another's. `can_ask` says whether Stripe will be asked
    for what is cut from it.
    """
    facts: tuple[Fact, ...] = ()
    try:
        document = orjson.loads(decompress(delivery.body))
        if notice := notice_of(document):
            return _noticed(
                PreparedEvent(
                    delivery, (), Outcome(EventStatus.RECEIVED), attempts, is_stored, source
                ),
                notice,
                stranger(notice, own_account, test_mode=test_mode),
            )
        event = parse(document)
        odd = stranger(event, own_account, test_mode=test_mode)
        if odd:
            outcome = Outcome(EventStatus.IGNORED, note=odd.note)
        else:
            decoded = decode(event)
            facts, outcome = decoded.facts, _outcome(decoded, can_ask=can_ask)
    except SoftTimeLimitExceeded:
        raise  # The task must end; the event did not cause it.
    except Exception as error:  # noqa: BLE001 - a bug in one decoder must not stop the batch.
        unread = Outcome(EventStatus.RECEIVED)
        work = PreparedEvent(delivery, (), unread, attempts, is_stored, source)
        is_newer = isinstance(error, UnknownDictionaryError)
        return left(work, error) if is_newer else failed(work, error)
    # Made once, with all that is known: a copy costs as much as the event's facts.
    return PreparedEvent(
        delivery, facts, outcome, attempts, is_stored, source, stranger=odd and odd.reason
    )


def _noticed(work: PreparedEvent, notice: Notice, odd: Stranger | None) -> PreparedEvent:
    """A thin event: it waits for Stripe's answer, or there is nothing to be asked."""
    why_not = odd.note if odd else ignorance(notice)
    if why_not:
        outcome = Outcome(EventStatus.IGNORED, object_id=notice.object_id, note=why_not)
        return work._replace(outcome=outcome, stranger=odd and odd.reason)
    outcome = Outcome(
        EventStatus.RECEIVED,
        object_id=notice.object_id,
        note=FOR_AN_ANSWER,
        # The answer comes by itself; this is when somebody looks whether it was asked for at all.
        retry_in_seconds=NOTICED_AGAIN_SECONDS,
    )
    return work._replace(outcome=outcome, notice=notice)


def _outcome(decoded: Decoded, *, can_ask: bool) -> Outcome:
    note = decoded.note
    if decoded.is_cut:
        cut = CUT if can_ask else CUT_FOR_GOOD
        note = f"{note}; {cut}" if note else cut
    return Outcome(
        _APPLIED if decoded.is_handled else _IGNORED,
        decoded.object_id,
        decoded.customer_id,
        decoded.user_id,
        note,
    )


def failed(work: PreparedEvent, error: Exception) -> PreparedEvent:
    """The event as one that failed once more; `scheduled` says whether it is tried again."""
    outcome = work.outcome._replace(
        status=EventStatus.FAILED, error=described(error), traceback=traced(error)
    )
    return work._replace(facts=(), outcome=outcome)


def left(work: PreparedEvent, error: Exception) -> PreparedEvent:
    """The event as one that only a worker of a newer release can apply; it waits in the inbox.

    The older it is, the more seldom it is looked at: nobody may be there who can read it.
    """
    age_seconds = time.time() - work.delivery.received_ms / 1000
    outcome = Outcome(
        EventStatus.RECEIVED,
        note=FOR_A_NEWER_WORKER,
        error=described(error),
        retry_in_seconds=min(max(age_seconds / 4, LEFT_SECONDS_MIN), LEFT_SECONDS_MAX),
    )
    return work._replace(facts=(), outcome=outcome)


def poison_message(
    delivery: Delivery, *, attempts: int = 0, is_stored: bool = False, note: str | None = None
) -> PreparedEvent:
    """An event that ends the process that applies it, as one that failed once more.

    It is not decoded, because decoding may be what ends the process.
    """
    outcome = Outcome(EventStatus.FAILED, error=KILLED, note=note)
    return PreparedEvent(delivery, (), outcome, attempts, is_stored)


def scheduled(work: PreparedEvent, delays_seconds: Sequence[float]) -> PreparedEvent:
    """A failed event with the time of its next try, or dead after the last one; others as is."""
    if work.outcome.status is not EventStatus.FAILED:
        return work
    delay = scheduled_pause(work.attempts + 1, delays_seconds)
    status = EventStatus.FAILED if delay is not None else EventStatus.DEAD
    return work._replace(outcome=work.outcome._replace(status=status, retry_in_seconds=delay))
