"""What documents promise about the repository itself."""

import ast
import json
import re
import tomllib
from pathlib import Path

import click
import pytest

from ingest.app import ROUTES
from ingest.http import openapi
from workers.commands import COMMANDS
from workers.commands.command_line import command_line

ROOT = Path(__file__).parents[2]
# What people read to use the product, in which commands and calls are named.
GUIDE = sorted(ROOT.glob("docs/[0-9]-*.md"))
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


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_what_a_page_links_to_is_there(page: str) -> None:
    """Links within the repository."""
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_pages_of_the_guide_are_numbered_without_a_gap() -> None:
    """In the order of reading; the README and the overview name each."""
    assert [int(page.name[0]) for page in GUIDE] == list(range(1, len(GUIDE) + 1))
    overview = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert re.findall(r"^\d\. .*\((.*?)\)", overview, re.MULTILINE) == [page.name for page in GUIDE]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [page.name for page in GUIDE if f"(docs/{page.name})" not in readme] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *GUIDE], ids=lambda page: page.name)
def test_a_command_that_a_page_tells_to_run_is_there(page: Path) -> None:
    """With each option that it is told to be run with."""
    text = page.read_text("utf-8")
    for line in re.findall(r"python3 manage\.py ([a-z][^\n`)#]*)", text):
        name, *words = line.split()
        command: click.Command | None = command_line.get_command(
            click.Context(click.Command("")), name
        )
        assert command, line
        if isinstance(command, click.Group) and words and words[0] in command.commands:
            command = command.commands[words[0]]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options | {"--help"}, line


@pytest.mark.parametrize("page", [ROOT / "README.md", *GUIDE], ids=lambda page: page.name)
def test_a_call_that_a_page_names_is_in_the_api(page: Path) -> None:
    """A path with an id in it, whichever id."""
    described = json.loads(openapi.document(ROUTES))["paths"]
    known = [re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))) for path in described]
    named = re.findall(r"/billing/[\w<>/…-]*", page.read_text("utf-8"))
    assert [path for path in named if not any(each.fullmatch(path) for each in known)] == []


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
