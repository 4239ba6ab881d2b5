"""What documents promise about the repository itself."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from workers.commands import COMMANDS

ROOT = Path(__file__).parents[2]
SHOWN_BY = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text("utf-8"))


def functions(path: Path) -> set[str]:
    """The names of a module's functions."""
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), SHOWN_BY)
def test_what_a_threat_is_stopped_by_is_shown_by_a_test_that_exists(path: str, name: str) -> None:
    """Whoever renames a test finds the row that leans on it."""
    assert name in functions(ROOT / path)


def test_no_threat_goes_without_a_test() -> None:
    """A row that nothing shows is a wish."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert rows
    assert [row for row in rows if "::test_" not in row] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_what_a_page_links_to_is_there(page: str) -> None:
    """Links within the repository."""
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_hooks_are_commands_of_ours() -> None:
    """They fetch nothing and have no other opinion than the test command."""
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    entries = re.findall(r"entry: python3 manage\.py (\w+)", text)
    assert entries
    assert set(entries) <= set(COMMANDS)
    assert re.findall(r"repo: (\w+)", text) == ["local"]


def test_the_newest_release_of_the_changelog_is_the_version() -> None:
    """Both are set by a release, and by nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].split(" ")[0] == project["version"]
