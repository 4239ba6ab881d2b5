"""The command line itself: wrong names, colours, and what shells complete."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from workers.commands.command_line import command_line
from workers.commands.completion import completion

ROOT = Path(__file__).resolve().parents[2]
BASH = shutil.which("bash")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["simualte"], "There is no command 'simualte'. Did you mean simulate?"),
        (["event"], "There is no command 'event'. Did you mean events?"),
        (["events", "shwo", "evt_1"], "There is no command 'shwo'. Did you mean show?"),
        (["destinations", "ad"], "There is no command 'ad'. Did you mean add?"),
        (["pay"], "There is no command 'pay'."),
    ],
)
def test_a_mistyped_command_is_answered_with_the_one_meant(words: list[str], hint: str) -> None:
    """Where one is near."""
    result = CliRunner().invoke(command_line, words)
    assert result.exit_code == 2
    assert hint in result.output.splitlines()[-1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_manage_py(shell: str) -> None:
    """Under the name that click asks for."""
    result = CliRunner().invoke(completion, [shell])
    assert result.exit_code == 0
    assert f"_MANAGE_PY_COMPLETE={shell}_complete" in result.output


@pytest.mark.skipif(BASH is None, reason="bash is not here")
def test_bash_completes_behind_python3() -> None:
    """The form that the documents use: commands, subcommands, options."""
    assert BASH
    script = CliRunner().invoke(completion, ["bash"]).output
    cases = "".join(
        f"""
        COMP_WORDS=({sys.executable} {ROOT}/manage.py {words}); COMP_CWORD={len(words.split()) + 1}
        _manage_py_through_python; echo "${{COMPREPLY[@]}}"
        """
        for words in ("simu", "events sh", "simulate --cust")
    )
    result = subprocess.run(
        [BASH, "-c", script + cases], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.splitlines() == ["simulate", "show", "--customers"]
