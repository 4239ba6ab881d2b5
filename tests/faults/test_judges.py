"""What the judges of a fault run hold against it, and what the page says of it."""

from dataclasses import replace

import pytest

from dev.faults.load import NO_ANSWER, is_wrong
from dev.faults.report import document
from dev.faults.run import Outcome
from dev.faults.verdict import Verdict

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
