"""The command line itself: a wrong name is answered with the right one."""

import pytest
from click.testing import CliRunner

from workers.commands.command_line import command_line


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
