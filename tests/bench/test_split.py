"""The CPU split: its names are the worker's own, and no moment counts twice."""

import time

import pytest

from bench.split import MEANINGS, SEAMS, Clock, resolve, watched


@pytest.mark.parametrize(("part", "module", "path"), SEAMS)
def test_every_timed_function_is_there(part: str, module: str, path: str) -> None:
    """A function that moved would quietly count as the rest."""
    owner, name = resolve(module, path)
    assert callable(getattr(owner, name))
    assert part in MEANINGS


def spin(seconds: float) -> None:
    """Use the CPU for so long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_time_in_an_inner_function_counts_for_the_inner_one_only() -> None:
    """The parts add up to the whole."""
    clock = Clock()
    inner = clock.timed("SQL", lambda: spin(0.02))

    def work() -> None:
        spin(0.01)
        inner()

    clock.timed("rows", work)()
    assert clock.seconds["SQL"] == pytest.approx(0.02, abs=0.005)
    assert clock.seconds["rows"] == pytest.approx(0.01, abs=0.005)


def test_afterwards_every_function_is_itself_again() -> None:
    """Only the run that is split pays for it."""
    before = [getattr(*resolve(module, path)) for _, module, path in SEAMS]
    with watched():
        assert all(
            getattr(*resolve(module, path)) is not function
            for (_, module, path), function in zip(SEAMS, before, strict=True)
        )
    assert before == [getattr(*resolve(module, path)) for _, module, path in SEAMS]
