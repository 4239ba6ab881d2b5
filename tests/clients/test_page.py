"""The page on the Python client: what its examples name is there, and can be called so."""

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import fiko_client
from fiko_client.pytest_plugin import Sandbox

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "python-client.md", ROOT / "clients" / "python" / "README.md")
BLOCKS = [
    ast.parse(block)
    for page in PAGES
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
]
NODES = [node for block in BLOCKS for node in ast.walk(block)]
# What the examples call their clients and the fixture.
KINDS = {"billing": fiko_client.Client, "fiko_sandbox": Sandbox}


def calls() -> Iterator[tuple[str, inspect.Signature, ast.Call]]:
    """Every call of something of ours in the examples."""
    for node in NODES:
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            kind = KINDS.get(called.value.id)
            if kind:
                method = getattr(kind, called.attr)
                yield called.attr, inspect.signature(method.__get__(object())), node
        elif isinstance(called, ast.Name) and hasattr(fiko_client, called.id):
            yield called.id, inspect.signature(getattr(fiko_client, called.id)), node


def test_what_the_examples_import_is_there() -> None:
    """By the names that they use."""
    imports = [
        (node.module, alias.name)
        for node in NODES
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if node.module.startswith("fiko_client")
    ]
    assert len(imports) > 5
    assert [name for module, name in imports if not hasattr(import_module(module), name)] == []


@pytest.mark.parametrize(
    ("signature", "call"), [each[1:] for each in calls()], ids=[each[0] for each in calls()]
)
def test_what_the_examples_call_takes_it(signature: inspect.Signature, call: ast.Call) -> None:
    """As many arguments, under these names."""
    named = {each.arg: None for each in call.keywords if each.arg}
    signature.bind(*call.args, **named)


def test_the_examples_show_the_main_calls() -> None:
    """So that the test above has something to look at."""
    shown = {name for name, _, _ in calls()}
    assert {"Client", "spend", "costs", "settling", "verify_webhook", "give"} <= shown
