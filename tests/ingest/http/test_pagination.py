"""Pages and cursors: what a list gives out it takes back, and nothing else."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ingest.http.pagination import (
    number_cursor,
    number_position,
    page,
    timed_cursor,
    timed_position,
)
from ingest.http.problems import Problem

NOON = datetime(2026, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)


def test_a_page_has_a_cursor_only_when_more_follows() -> None:
    """The row beyond the limit is not shown; it says that there is one."""
    assert page([1, 2, 3], 2, str) == {"items": [1, 2], "next_cursor": "2"}
    assert page([1, 2], 2, str) == {"items": [1, 2], "next_cursor": None}
    assert page([], 2, str) == {"items": [], "next_cursor": None}


def test_a_cursor_comes_back_as_the_position_it_was_made_of() -> None:
    """To the microsecond, whatever zone the time was told in."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=2)))
    assert timed_position("a", timed_cursor("a", (elsewhere, "in_1"))) == (NOON, "in_1")
    assert number_position("a", number_cursor("a", 7)) == 7
    assert timed_position("a", None) is None
    assert number_position("a", None) is None
    assert number_position("a", "") is None  # As a form sends what nobody filled in.


@pytest.mark.parametrize(
    "cursor",
    [
        "zz",
        "é",
        "A" * 2000,
        "!!!!",
        "bnVsbA",  # null
        "W10",  # []
        number_cursor("other", 1),
        number_cursor("list", 2**63),
        timed_cursor("other", (NOON, "in_1")),
        timed_cursor("list", (NOON, "in_\0")),
        "WyJsaXN0IiwidG9kYXkiLCJ4Il0",  # ["list","today","x"]
        "WyJsaXN0IiwiMjAyNi0wNS0wMVQwMDowMDowMCIsIngiXQ",  # a time without a zone
    ],
)
def test_a_cursor_of_another_making_is_refused(cursor: str) -> None:
    """422, not a crash and not another list's rows."""
    for position in (number_position, timed_position):
        with pytest.raises(Problem) as caught:
            position("list", cursor)
        assert (caught.value.status, caught.value.code) == (422, "invalid_cursor")
