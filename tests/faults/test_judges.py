"""What the judges of a fault run hold against it, and what the page says of it."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from dev.faults.hearing import Hearing
from dev.faults.listeners import Listener
from dev.faults.load import NO_ANSWER, is_wrong
from dev.faults.receivers import Receiver
from dev.faults.report import document
from dev.faults.run import Outcome
from dev.faults.spooling import Spooling
from dev.faults.verdict import Verdict
from workers.hearing.destinations import new_secret
from workers.hearing.sending import signed

CLEAN = Verdict(
    events=10,
    deliveries=13,
    answers={200: 13, 503: 4, NO_ANSWER: 2},
    wrong_answers={},
    accepted=10,
    statuses={"applied": 6, "ignored": 4},
    lost=0,
    strangers=0,
    doubled=0,
    users=3,
    wrong_users=0,
    audit_differences=0,
    longest_delay_seconds=31.4,
    slowest="",
    median_delay_seconds=0.05,
    examples=(),
)


def test_a_run_in_which_every_promise_was_kept_is_clean() -> None:
    """Being put off is no broken promise."""
    assert CLEAN.is_clean


@pytest.mark.parametrize(
    "spoiled",
    [
        replace(CLEAN, lost=1),
        replace(CLEAN, strangers=1),
        replace(CLEAN, doubled=1),
        replace(CLEAN, wrong_users=1),
        replace(CLEAN, audit_differences=1),
        replace(CLEAN, unanswered=1),
        replace(CLEAN, trouble_delay_seconds=1.6, usual_delay_seconds=0.5),
        *(
            replace(CLEAN, hearing=hearing)
            for hearing in (
                *(Hearing(untold=1), Hearing(wrong=1), Hearing(overtaken=1)),
                *(Hearing(strange=1), Hearing(gaps=1), Hearing(resets=1)),
            )
        ),
    ],
)
def test_one_of_anything_wrong_is_enough(spoiled: Verdict) -> None:
    """No judge is outvoted by the others."""
    assert not spoiled.is_clean


def test_an_event_that_was_never_accepted_or_answered_wrongly_is_not_clean() -> None:
    """A product that refuses everything loses nothing, and is no use."""
    assert not replace(CLEAN, accepted=9).is_clean
    assert not replace(CLEAN, wrong_answers={400: 1}).is_clean


@pytest.mark.parametrize(
    ("status", "offset", "wrong"),
    [
        (200, 0, False),
        (200, 240, False),
        (503, 0, False),
        (NO_ANSWER, 0, False),
        (400, 0, True),
        (400, -240, True),
        (500, 0, True),
        (400, 3_600, False),
        (503, -3_600, False),
        (200, 3_600, True),
    ],
)
def test_a_good_event_is_taken_or_put_off_and_one_of_another_time_is_not_taken(
    status: int,
    offset: int,
    wrong: bool,  # noqa: FBT001 - a column of the table above.
) -> None:
    """What a sender with a right clock, and one with a wrong clock, must never be told."""
    assert is_wrong(status, offset) is wrong


def test_the_page_shows_what_went_wrong() -> None:
    """A page that cannot show a loss proves nothing."""
    outcome = Outcome(7, {"Redis killed": 2}, 60.0, replace(CLEAN, lost=3, doubled=1))
    page = document([outcome, outcome], None, ["no disk"])
    assert "| **lost** | 3 | 3 | 6 |" in page
    assert "| **doubled** | 1 | 1 | 2 |" in page
    assert "| Redis killed | 4 |" in page
    assert "run 1, seed 7" in page
    assert "- no disk" in page


def test_the_page_shows_who_knows_otherwise_and_what_an_outage_cost() -> None:
    """Figures of those who hear, and of the app that spools."""
    hearing = Hearing(messages=20, wrong=2, gaps=4)
    outcome = Outcome(7, {}, 60.0, replace(CLEAN, hearing=hearing))
    page = document([outcome], None, [], SPOOLING)
    assert "| **known otherwise than the API says** | 2 | 2 |" in page
    assert "| **gaps in a stream** | 4 | 4 |" in page
    assert "In the ledger: 3,100; missing: 0; doubled: 0; refused: 0." in page


SPOOLING = Spooling(
    rate=50,
    away_seconds=60.0,
    spends=3_100,
    spooled=3_002,
    posted=3_100,
    missing=0,
    doubled=0,
    refused=0,
    settle_seconds=4.2,
    slowest_seconds=2.1,
    median_away_seconds=0.003,
)


def test_a_spend_that_is_missing_or_doubled_is_not_clean() -> None:
    """Each must be in the ledger once."""
    assert SPOOLING.is_clean
    for spoiled in (
        replace(SPOOLING, missing=1),
        replace(SPOOLING, doubled=1),
        replace(SPOOLING, refused=1),
    ):
        assert not spoiled.is_clean
    assert not replace(SPOOLING, posted=3_099).is_clean


def a_message(version: int, balance: int = 0) -> dict[str, object]:
    """A message of one user."""
    data = {"balance": balance, "updated_at": None}
    return {"type": "tokens.changed", "user": "u", "version": version, "data": data}


@pytest.mark.parametrize(
    ("told", "gaps"),
    [
        ([1, 2, 3], 0),
        ([1, 3], 1),
        ([], 3),
        ([1, 3, 2], 1),
        ([1, 2, 2, 3], 1),
        ([1, 2, 3, 4], 1),
    ],
)
def test_a_stream_that_leaves_out_doubles_or_mixes_up_has_gaps(told: list[int], gaps: int) -> None:
    """Three messages are in the outbox."""
    listener = Listener("u", told=[a_message(version) for version in told])
    assert listener.gaps([a_message(version) for version in (1, 2, 3)]) == gaps


def test_a_stream_that_tells_something_else_has_a_gap() -> None:
    """The message itself is compared."""
    listener = Listener("u", told=[a_message(1, balance=5)])
    assert listener.gaps([a_message(1, balance=6)]) == 1


def test_a_receiver_notes_what_it_heard_too_early_and_what_is_not_signed() -> None:
    """One twice is allowed; and what it forgot it does not know."""
    receiver = Receiver(secret=new_secret())
    for version in (1, 2, 2, 4):
        body = orjson.dumps(a_message(version))
        headers = signed(f"msg_{version}", body, [receiver.secret], datetime.now(UTC))
        assert receiver.take(headers, body) == "well"
    assert receiver.take(headers, body + b" ") == "errs"
    assert (receiver.taken, receiver.overtaken, receiver.strange) == (4, 1, 1)
    assert receiver.known["u"].versions == {("tokens", ""): 4}
    receiver.forget()
    assert receiver.known == {}
