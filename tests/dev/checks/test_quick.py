"""The quick checks: steps of `test`, and tests that ask for no engine."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

import manage
from dev.checks import checks, seclusion, steps
from workers.commands.command_line import command_line


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the steps that a command runs, none of which is run; the second fails."""
    names: list[str] = []

    def run(name: str, words: object, extra: object = None) -> steps.Step:
        del words, extra
        names.append(name)
        return steps.Step(name, 0.0, int(len(names) == 2))

    monkeypatch.setattr(steps, "run", run)
    monkeypatch.setattr(seclusion, "forget_settings", lambda: None)
    return names


def test_a_step_that_fails_keeps_no_other_from_running(ran: list[str]) -> None:
    """The command fails, and tells everything at once."""
    result = CliRunner().invoke(command_line, ["lint"])
    assert result.exit_code == 1
    assert ran == ["style", "format", "imports"]


@pytest.mark.parametrize("command", ["types", "test_fast"])
def test_a_command_whose_steps_are_well_is_well(ran: list[str], command: str) -> None:
    """Exit status 0."""
    assert CliRunner().invoke(command_line, [command]).exit_code == 0
    assert len(ran) == 1


def test_lint_and_types_are_what_test_checks() -> None:
    """One way to do each thing: what passes here passes there."""
    assert checks.CHECKS == (steps.STYLE, steps.FORMAT, steps.TYPES, steps.IMPORTS)


@pytest.mark.parametrize("command", ["fmt", "lint", "types", "test_fast"])
def test_a_quick_check_brings_its_own_tools(command: str) -> None:
    """On a fresh machine too."""
    assert manage.lock_to_run(command) == "test"


def test_whatever_asks_for_an_engine_is_left_out() -> None:
    """The mark is set by what a test asks for, so that nobody has to remember it."""
    words = ["-m", "pytest", "--collect-only", "-q", "-m", "not engines", "tests/db/test_schema.py"]
    result = subprocess.run(
        [sys.executable, *words], cwd=steps.ROOT, capture_output=True, text=True, check=False
    )
    assert "no tests collected" in result.stdout
    assert "::" not in result.stdout
