"""What is asked for on the command line takes the place of what the scale says."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.command import bench
from bench.scale import MILLION_BACKLOG, MILLIONS_OF_ROWS, NORMAL, QUICK, scaled


def test_nothing_asked_for_changes_nothing() -> None:
    """Published figures are of the scale as it is."""
    assert scaled(NORMAL, million=False, rounds=None, size=None, rows=()) == NORMAL


def test_rounds_sizes_and_rows_replace_their_own() -> None:
    """Rounds are of everything that is repeated."""
    assert scaled(QUICK, rounds=7) == replace(QUICK, rounds=7, whole_rounds=7)
    assert scaled(QUICK, size=3_000) == replace(QUICK, backlogs=(3_000,))
    assert scaled(QUICK, rows=(0, 50_000)) == replace(QUICK, table_rows=(0, 50_000))


def test_a_million_can_be_made_smaller_where_it_is_not_wanted_whole() -> None:
    """`--million --rows 5000` is a million queued beside few stored."""
    found = scaled(NORMAL, million=True)
    assert MILLION_BACKLOG in found.backlogs
    assert found.table_rows == MILLIONS_OF_ROWS
    assert scaled(NORMAL, million=True, rows=(5_000,)).table_rows == (5_000,)


def test_whole_takes_five_rounds_by_default() -> None:
    """Its spread is what tells a difference from the host's moods."""
    assert NORMAL.whole_rounds == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["against"], "needs --against CHECKOUT"),
        (["accept", "--against", "{empty}"], "is no checkout of this product"),
        (["forms"], "'forms' is not one of"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(
    words: list[str], said: str, tmp_path: Path
) -> None:
    """Not after ten minutes."""
    words = [word.format(empty=tmp_path) for word in words]
    result = CliRunner().invoke(bench, words)
    assert result.exit_code == 2
    assert said in result.output
