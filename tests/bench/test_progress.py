"""Progress: one line that changes on a terminal, a line a part where output is kept."""

import pytest

from bench import report
from bench.figures import Figure
from bench.progress import WIDTH, Progress


def test_in_a_pipe_only_parts_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """No steps, and no control characters."""
    progress = Progress(is_live=False)
    progress.begin("whole")
    progress.step("round 1 of 5")
    progress.end()
    out, err = capsys.readouterr()
    assert not out
    assert err.splitlines() == ["measuring whole ...", "measured whole in 0 s"]


def test_on_a_terminal_a_step_takes_the_place_of_the_one_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However long it is, it stays one line, and the last of them is taken away."""
    progress = Progress(is_live=True)
    progress.begin("whole")
    progress.step("x" * 2 * WIDTH)
    progress.end()
    err = capsys.readouterr().err
    lines = err.replace("\x1b[2K", "").split("\r")
    assert lines[1].startswith("whole 0:00  engines start")
    assert len(lines[2]) == WIDTH
    assert lines[-1] == "measured whole in 0 s\n"


def test_a_figure_is_told_as_soon_as_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is broken off has not been for nothing."""
    progress = Progress(is_live=False)
    figure = Figure("against.accept.rate", "accepted", "x", (2.5, 2.6, 2.7))
    progress.tell([report.short_line(figure)])
    assert capsys.readouterr().err == "  accepted: 2.60 x (2.50\N{EN DASH}2.70)  aim reached\n"
