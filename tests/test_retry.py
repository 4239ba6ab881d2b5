"""Growing pauses, and running something again after them."""

import itertools

import pytest

from retry import Backoff, scheduled_pause, with_retries


def test_pauses_double_up_to_the_longest() -> None:
    """However many failures there were."""
    backoff = Backoff(first_seconds=1.0, longest_seconds=5.0)
    assert [backoff.pause_seconds(failures) for failures in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 5.0]
    assert backoff.pause_seconds(10_000) == 5.0


def test_a_list_of_pauses_ends() -> None:
    """The failure after the last pause is final."""
    assert [scheduled_pause(failures, (10, 60)) for failures in (1, 2, 3)] == [10, 60, None]


def test_what_succeeds_after_failures_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pauses that were given, and none after the success."""
    slept: list[float] = []
    monkeypatch.setattr("retry.time.sleep", slept.append)
    numbers = itertools.count()

    def attempt() -> int:
        if (number := next(numbers)) < 2:
            raise ValueError(number)
        return number

    assert with_retries(attempt, lambda _error, failures: 10.0 * failures) == 2
    assert slept == [10.0, 20.0]


def test_an_error_that_gets_no_pause_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, as it is."""
    monkeypatch.setattr("retry.time.sleep", lambda _: pytest.fail("it slept"))

    def attempt() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        with_retries(attempt, lambda _error, _failures: None)


def test_a_pause_by_time_is_as_long_as_the_failing_within_its_bounds() -> None:
    """However many tries there were."""
    backoff = Backoff(first_seconds=2.0, longest_seconds=300.0)
    assert [backoff.pause_after(seconds) for seconds in (0.0, 7.0, 3_600.0)] == [2.0, 7.0, 300.0]
