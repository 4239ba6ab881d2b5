"""`test` fails where too little of the product's code is run by its tests."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest
from click.testing import CliRunner

from dev.checks import checks, quick, seclusion, steps
from dev.checks.vulnerabilities import Audit
from workers.commands.command_line import command_line

# Few tests, which run few lines; nothing here asks for an engine.
PART = ("tests/domain/tokens", "-m", "not hypothesis", "-p", "no:cacheprovider")


class Nothing:
    """An engine that nobody needs."""

    url = ""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def run(words: Sequence[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Pytest as `test` would run it, with measurements of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=steps.ROOT,
        env={**os.environ, "COVERAGE_FILE": str(directory / "coverage")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """What `test` and `test_fast` give to each step, none of which is run."""
    given: dict[str, tuple[str, ...]] = {}

    def keep(name: str, words: Sequence[str], extra: object = None) -> steps.Step:
        del extra
        given[name] = tuple(words)
        return steps.Step(name, 0.0, 0)

    monkeypatch.setenv("TEST_EXAMPLES_FACTOR", "1")  # `--explore` sets it, and undoes nothing.
    monkeypatch.setattr(steps, "run", keep)
    monkeypatch.setattr(seclusion, "forget_settings", lambda: None)
    monkeypatch.setattr(checks, "audit", Audit)
    monkeypatch.setattr("dev.checks.clients.check", Audit)
    monkeypatch.setattr(checks, "PostgresEngine", Nothing)
    monkeypatch.setattr(checks, "shared_valkey", Nothing)
    return given


def test_the_floor_stands_under_the_rooms_that_run_in_production() -> None:
    """Ninety-five in a hundred lines."""
    tool = tomllib.loads((steps.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["coverage"]
    assert set(tool["run"]["source"]) == {"domain", "db", "workers", "ingest"}
    assert "omit" not in tool["run"]
    assert tool["report"]["fail_under"] >= 95


def test_tests_that_run_too_few_lines_fail_though_each_passes(tmp_path: Path) -> None:
    """And the last line is still pytest's own."""
    result = run((*checks.MEASURED, *PART), tmp_path)
    assert result.returncode == 1, result.stdout
    assert "FAIL Required test coverage of 95" in result.stdout
    assert " passed" in result.stdout.splitlines()[-1]


def test_the_same_tests_pass_where_nothing_is_measured(tmp_path: Path) -> None:
    """As they are run by whoever asks for a part of the suite."""
    result = run(PART, tmp_path)
    assert result.returncode == 0, result.stdout
    assert not (tmp_path / "coverage").exists()


def test_the_whole_suite_is_measured(ran: dict[str, tuple[str, ...]]) -> None:
    """In the step that runs nearly all of it, and in no other."""
    assert CliRunner().invoke(command_line, ["test"]).exit_code == 0
    assert [name for name, words in ran.items() if "--cov" in words] == ["tests"]


@pytest.mark.parametrize("words", [["test", "tests/domain"], ["test", "--explore"], ["test_fast"]])
def test_a_part_of_the_suite_is_not_measured(
    ran: dict[str, tuple[str, ...]], words: list[str]
) -> None:
    """It could only fail."""
    assert CliRunner().invoke(command_line, words).exit_code == 0
    assert list(ran) == ["tests"]
    assert "--cov" not in ran["tests"]
    assert "--cov" not in quick.FAST
