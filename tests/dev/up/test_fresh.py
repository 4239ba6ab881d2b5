"""`up --fresh`: what is removed, what is left alone, and who is asked."""

from pathlib import Path

import click
import pytest

from dev.up import fresh
from dev.up.errors import EngineError

LOCK = "up.lock"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What a run leaves behind."""
    for name in ("postgres", "valkey", "logs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "something").touch()
    for name in ("dev.env", LOCK):
        (tmp_path / name).touch()
    return tmp_path


def test_everything_but_the_lock_is_removed(directory: Path) -> None:
    """The lock is held by who removes the rest."""
    fresh.forget(directory, {}, keep=LOCK, is_sure=True)
    assert [path.name for path in directory.iterdir()] == [LOCK]
    fresh.forget(directory, {}, keep=LOCK, is_sure=False)  # Nothing is left to ask about.


def test_a_pipe_must_be_sure(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can answer there."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(EngineError, match="--yes"):
        fresh.forget(directory, {}, keep=LOCK, is_sure=False)
    assert (directory / "postgres").exists()


def test_a_no_removes_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal is asked."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    with pytest.raises(click.Abort):
        fresh.forget(directory, {}, keep=LOCK, is_sure=False)
    assert (directory / "postgres").exists()


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Neither a directory of somebody's, nor servers that we did not start."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(EngineError, match="does not look like"):
        fresh.forget(tmp_path, {}, keep=LOCK, is_sure=True)
    with pytest.raises(EngineError, match="DATABASE_URL"):
        fresh.forget(tmp_path, {"DATABASE_URL": "x"}, keep=LOCK, is_sure=True)
    assert (tmp_path / "thesis.tex").exists()
