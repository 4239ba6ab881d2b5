"""The front door: when it installs, when it does not, and what it says when it cannot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import manage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with three locks and no environment."""
    (tmp_path / "locks").mkdir()
    for name in manage.LOCKS:
        (tmp_path / "locks" / f"{name}.txt").write_text(f"# {name}\npip==1\n", encoding="utf-8")
    monkeypatch.setattr(manage, "ROOT", tmp_path)
    monkeypatch.setattr(manage, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(manage, "VENV_PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(manage, "STAMP", tmp_path / ".venv" / "installed.json")
    return tmp_path


def finished(project: Path, lock: str) -> None:
    """What an installation of a lock leaves, without the packages."""
    made = manage.fingerprint(lock)
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (project / ".venv" / "lib" / f"python{made['python']}").mkdir(parents=True)
    manage.STAMP.write_text(json.dumps(made), encoding="utf-8")


def test_an_environment_serves_the_smaller_locks_too(project: Path) -> None:
    """What was installed for the tests runs everything; what runs production does not test."""
    finished(project, "up")
    assert manage.installed("up")
    assert manage.installed("production")
    assert not manage.installed("test")


def test_a_changed_lock_calls_for_an_installation(project: Path) -> None:
    """An environment in step with yesterday's lock is not in step."""
    finished(project, "up")
    (project / "locks" / "up.txt").write_text("pip==2\n", encoding="utf-8")
    assert not manage.installed("up")


def test_an_interrupted_installation_counts_as_none(project: Path) -> None:
    """The stamp comes last, so without one nothing is believed."""
    finished(project, "up")
    manage.STAMP.unlink()
    assert not manage.installed("up")
    manage.STAMP.write_text("{", encoding="utf-8")
    assert not manage.installed("up")


def test_an_environment_whose_python_is_gone_is_not_believed(project: Path) -> None:
    """Nor one whose Python moved on to another version."""
    finished(project, "up")
    manage.VENV_PYTHON.unlink()
    manage.VENV_PYTHON.symlink_to("/nowhere/python")
    assert not manage.installed("up")


@pytest.mark.usefixtures("project")
def test_tab_installs_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell that asks what completes a word is told nothing, and nobody waits for packages."""
    monkeypatch.setenv("_MANAGE_PY_COMPLETE", "bash_complete")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(manage, "prepared", lambda _lock: False)
    monkeypatch.setattr(manage, "install", lambda _lock: pytest.fail("it installs"))
    with pytest.raises(SystemExit):
        manage.main()
    assert capsys.readouterr() == ("", "")


def test_up_needs_no_engines_where_servers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With both URLs set, the production packages are enough."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    assert manage.lock_to_run("up") == "up"
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, "set")
    assert manage.lock_to_run("up") == "production"
    assert manage.lock_to_run("test") == "test"
    assert manage.lock_to_run("events") == "production"


def test_a_python_that_lacks_one_package_is_not_prepared(project: Path) -> None:
    """Every unconditional line of the lock counts."""
    lock = project / "locks" / "up.txt"
    lock.write_text("click==1\nnot-a-package==1 ; python_version < '3'\n", encoding="utf-8")
    assert manage.prepared("up")
    lock.write_text("click==1\nnot-a-package==1\n", encoding="utf-8")
    assert not manage.prepared("up")


@pytest.mark.usefixtures("project")
def test_without_any_installer_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, no trace."""

    def failing(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, stdout="")

    monkeypatch.setattr(manage, "attempt", failing)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(manage.Trouble, match="python3-venv"):
        manage.installer()


def test_a_failed_installation_is_told_by_its_last_error(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pip says last is what a person can act on."""
    said = "Looking\nERROR: first\nERROR: No matching distribution found for a==1\nbye\n"
    monkeypatch.setattr(manage, "installer", lambda: ["pip"])
    monkeypatch.setattr(
        manage, "attempt", lambda command: subprocess.CompletedProcess(command, 1, stdout=said)
    )
    with pytest.raises(manage.Trouble, match="No matching distribution found for a==1"):
        manage.install("up")
    assert not (project / ".venv" / "installed.json").exists()
