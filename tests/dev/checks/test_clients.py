"""The clients step of `test`: what is wrong fails, and whatever keeps it from looking does not."""

import json
import sys
from pathlib import Path

import pytest

from dev.checks import clients, node
from dev.checks.clients import FOLDER, ROOT, Checked, check
from dev.checks.node import NodeFailedError, NodeUnavailableError

LOCKS = (FOLDER / "package-lock.json", ROOT / "tests" / "node" / "package-lock.json")


def saying(text: str, status: int = 1) -> tuple[str, ...]:
    """A stand-in for npm that says something and ends."""
    return sys.executable, "-c", f"import sys; print({text!r}, file=sys.stderr); sys.exit({status})"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a manifest."""
    (tmp_path / "package.json").write_text("{}")
    return tmp_path


@pytest.fixture(autouse=True)
def machine_with_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests need no Node; they only must not be told that it is missing."""
    monkeypatch.setattr("dev.checks.node.shutil.which", lambda tool: f"/somewhere/{tool}")
    monkeypatch.setattr("dev.checks.node.machine_version", lambda: node.VERSION_MIN)


def test_what_is_installed_is_not_installed_again(folder: Path) -> None:
    """Until a manifest changes."""
    node.install(folder, saying("", 0))
    node.install(folder, saying("npm error code EUSAGE"))
    (folder / "package.json").write_text('{"name": "changed"}')
    with pytest.raises(NodeFailedError):
        node.install(folder, saying("npm error code EUSAGE"))


def test_an_unreachable_registry_is_no_failure(folder: Path) -> None:
    """It is told by npm's own word for it."""
    with pytest.raises(NodeUnavailableError, match=r"cannot get the packages \(ENOTFOUND\)"):
        node.install(folder, saying("npm error code ENOTFOUND"))


def test_a_slow_registry_is_given_up(folder: Path) -> None:
    """Nobody waits for minutes."""
    slow = (sys.executable, "-c", "import time; time.sleep(30)")
    with pytest.raises(NodeUnavailableError, match=r"no answer within 0\.2 s"):
        node.install(folder, slow, seconds_max=0.2)


def test_a_machine_without_node_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is skipped and says why."""
    monkeypatch.setattr("dev.checks.node.shutil.which", lambda _tool: None)
    assert check() == Checked(skipped="node is not installed")


def test_an_old_node_is_no_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools of today would fail in it one way or another."""
    monkeypatch.setattr("dev.checks.node.machine_version", lambda: 18)
    with pytest.raises(NodeUnavailableError, match="Node 20 or newer is needed, this is 18"):
        node.install(folder, saying("", 0))


def test_a_tool_that_fails_is_quoted(folder: Path) -> None:
    """With all it said."""
    with pytest.raises(NodeFailedError, match="no such type"):
        node.run(folder, *saying("no such type"))


def test_types_that_are_not_the_apis_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that mends them."""
    monkeypatch.setattr(clients, "generated_types", lambda: "other types")
    monkeypatch.setattr(node, "install", lambda _folder: None)
    [finding] = check().found
    assert "run: python -m dev.checks.clients --write" in finding


def test_the_document_names_the_operations_that_the_client_calls() -> None:
    """Made without any store."""
    paths = json.loads(clients.document())["paths"]
    assert {"/billing/tokens/", "/billing/plans/full/", "/billing/tokens/debit/"} <= set(paths)


def test_the_document_is_not_what_a_machine_makes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A developer's `.env` with a mistake in it is no reason not to write the types."""
    (tmp_path / ".env").write_text("PORT=none\nSTRIPE_CURRENCY=eur\n")
    before = clients.document()
    monkeypatch.chdir(tmp_path)
    assert clients.document() == before


@pytest.mark.parametrize("lock", LOCKS, ids=["clients", "node tests"])
def test_locks_name_no_registry(lock: Path) -> None:
    """Whoever installs uses the registry of their own machine; every package has its checksum."""
    packages = json.loads(lock.read_text())["packages"]
    outside = {
        name: package for name, package in packages.items() if name.startswith("node_modules/")
    }
    assert all("resolved" not in package or package.get("link") for package in outside.values())
    assert all("integrity" in package or package.get("link") for package in outside.values())
