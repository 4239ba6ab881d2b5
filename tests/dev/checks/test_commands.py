"""The table of commands: a contents page that costs nothing, and errors for people."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from workers.commands import COMMANDS, Command
from workers.commands.command_line import command_line, main


def test_the_help_lists_every_command_and_imports_none() -> None:
    """So it also works where a command's own packages are missing."""
    program = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from workers.commands.command_line import main\n"
        "try: main()\n"
        "finally: print(*(name for name in sys.modules if name.split('.')[0] == 'dev'))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    *page, modules = result.stdout.splitlines()
    assert modules == ""
    shown = [line.split()[0] for line in page if line.startswith("  ") and line[2] != " "]
    assert shown[-len(COMMANDS) :] == list(COMMANDS)


def test_the_table_needs_no_library() -> None:
    """`manage.py` reads it before there is an environment."""
    program = (
        "import sys, manage; manage.lock_to_run('test')\n"
        "print('click' in sys.modules, 'sqlalchemy' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False False\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "simulate"])
def test_every_command_can_be_imported_and_takes_the_data_directory(name: str) -> None:
    """No name in the table is a dead end."""
    result = CliRunner().invoke(command_line, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "--data DIR" in result.output


def test_a_missing_development_part_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The production image has no `dev`; nobody gets a trace for that."""
    monkeypatch.setitem(COMMANDS, "up", Command("dev.there_is_no_such_module:up", "summary"))
    result = CliRunner().invoke(command_line, ["up"])
    assert result.exit_code == 1
    assert "needs the development part" in result.output


def test_missing_settings_are_told_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each problem with its fix, exit status 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BILLING_DATA", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["worker"])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "DATABASE_URL is not set" in told
    assert "Traceback" not in told
