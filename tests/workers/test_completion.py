"""What bash, zsh and fish complete: each with the script that `completion` prints for it."""

import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select

import pytest
from click.testing import CliRunner

from workers.commands.completion import completion

ROOT = Path(__file__).resolve().parents[2]
# Both forms of the documents, and each kind of word with what completes it.
WORDS = {
    "./manage.py simu": "simulate",
    "python3 manage.py events sh": "show",
    "python3 manage.py simulate --cust": "--customers",
    f"python3 {ROOT}/manage.py simulate --style sn": "snapshot",
    "python3 manage.py load_plans docs/3-s": "docs/3-selling.md",
}
PATIENCE_SECONDS = 30.0


def shell(name: str) -> str:
    """The path of a shell, or a skipped test with the reason."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def script_of(name: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(completion, [name])
    assert result.exit_code == 0
    return result.output


def environment(home: Path) -> dict[str, str]:
    """Of somebody whose python3 has the packages."""
    here = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**os.environ, "PATH": here, "HOME": str(home), "TERM": "dumb"}


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_manage_py(name: str) -> None:
    """Under the name that click asks for."""
    assert f"_MANAGE_PY_COMPLETE={name}_complete" in script_of(name)


def test_bash_completes_behind_python3() -> None:
    """The form that the documents use: commands, subcommands, options."""
    cases = "".join(
        f"""
        COMP_WORDS=({sys.executable} {ROOT}/manage.py {words}); COMP_CWORD={len(words.split()) + 1}
        _manage_py_through_python; echo "${{COMPREPLY[@]}}"
        """
        for words in ("simu", "events sh", "simulate --cust")
    )
    result = subprocess.run(
        [shell("bash"), "-c", script_of("bash") + cases],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert result.stdout.splitlines() == ["simulate", "show", "--customers"]


def fish_says(folder: Path, asked: str) -> str:
    """What fish answers, and nothing to complain of."""
    result = subprocess.run(
        [shell("fish"), "--no-config", "-c", f"{script_of('fish')}\n{asked}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(folder),
    )
    assert result.stderr == ""
    return result.stdout


def test_fish_completes(tmp_path: Path) -> None:
    """As it tells when it is asked."""
    said = fish_says(tmp_path, "".join(f"complete -C '{words}'; echo ---;" for words in WORDS))
    told = [answer.split("\t")[0].strip() for answer in said.split("---\n")]
    assert told == [*WORDS.values(), ""]


def test_fish_completes_other_uses_of_python3_as_before(tmp_path: Path) -> None:
    """Names of scripts, and nothing of ours."""
    said = fish_says(tmp_path, "complete -C 'python3 mana'; complete -C 'python3 other.py simu'")
    assert said.split() == ["manage.py"]


class Terminal:
    """A zsh at a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def press(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._descriptor, keys.encode())

    def shows(self, text: str) -> None:
        """Wait until it has shown this."""
        shown = ""
        end = time.monotonic() + PATIENCE_SECONDS
        while text not in shown:
            assert time.monotonic() < end, f"{text!r} is not in {shown!r}"
            if select([self._descriptor], [], [], 0.1)[0]:
                shown += os.read(self._descriptor, 4096).decode(errors="replace")


@contextmanager
def zsh(home: Path) -> Iterator[Terminal]:
    """A zsh of somebody who has nothing in their start-up file but our line."""
    program = shell("zsh")
    (home / "script.zsh").write_text(script_of("zsh"), encoding="utf-8")
    (home / ".zshrc").write_text('PS1="ready> "; eval "$(cat ~/script.zsh)"\n', encoding="utf-8")
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [program, "-i"],
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=ROOT,
        env={**environment(home), "ZDOTDIR": str(home), "COLUMNS": "200"},
        start_new_session=True,
    )
    os.close(its)
    try:
        yield Terminal(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_zsh_completes(tmp_path: Path) -> None:
    """On Tab, in a shell whose completion was not even switched on."""
    with zsh(tmp_path) as terminal:
        terminal.shows("ready> ")
        for words, whole in WORDS.items():
            terminal.press(f"{words}\t")
            terminal.shows(f"{whole.removeprefix(words.split()[-1])} ")
            terminal.press("\x15")  # Ctrl-U: an empty line again.


def test_zsh_shows_values_and_no_files(tmp_path: Path) -> None:
    """Where several fit they are listed, and nothing else is; python3 alone is as before."""
    with zsh(tmp_path) as terminal:
        terminal.shows("ready> ")
        terminal.press("python3 manage.py simulate --style \t")
        terminal.shows("snapshot  thin      both\r\nready> ")
        terminal.press("\x15python3 mana\t")
        terminal.shows("ge.py ")
