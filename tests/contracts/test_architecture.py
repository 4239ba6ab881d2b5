"""ARCHITECTURE.md fits a page, and the way of an event that it tells is the one the code takes."""

import ast
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import celery_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
LINES_MAX = 90
MAP_ROWS_MAX = 15


@dataclass(frozen=True, slots=True)
class Step:
    """A function of the list, with those that it calls in the order of the page."""

    name: str
    calls: "list[Step]"


def the_way() -> list[Step]:
    """The list as trees: what is indented below a line is called by it."""
    block = re.search(r"## The way of an event\n.*?```\n(.*?)```", TEXT, re.DOTALL)
    assert block
    roots: list[Step] = []
    above: list[tuple[int, Step]] = []
    for line in filter(str.strip, block[1].splitlines()):
        depth = len(line) - len(line.lstrip())
        step = Step(line.split()[0], [])
        while above and above[-1][0] >= depth:
            above.pop()
        (above[-1][1].calls if above else roots).append(step)
        above.append((depth, step))
    return roots


def steps(roots: list[Step]) -> Iterator[Step]:
    """Every step of the trees."""
    for step in roots:
        yield step
        yield from steps(step.calls)


def resolve(name: str) -> tuple[Any, Any]:
    """What a dotted name stands for, and the class or module that holds it."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            holder: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:-1]:
            holder = getattr(holder, part)
        return getattr(holder, parts[-1]), holder
    raise LookupError(name)


def plain(found: Any) -> Any:
    """The function itself, where it is a Celery task."""
    return getattr(found, "run", found)


@cache
def tree_of(module: str) -> ast.Module:
    """A module's source, parsed."""
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def definition(module: str, qualified: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Where a function or method of a module is written."""
    body: list[ast.stmt] = tree_of(module).body
    found: ast.stmt | None = None
    for part in qualified.split("."):
        named = (each for each in body if getattr(each, "name", None) == part)
        found = next(named, None)
        body = getattr(found, "body", [])
    return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) else None


def hints(of: Any) -> dict[str, Any]:
    """The types that a function or class declares; none where they are only for checkers."""
    try:
        return typing.get_type_hints(of)
    except NameError:
        return {}


def kept_types(kind: type) -> dict[str, Any]:
    """The types of what an object holds: declared fields, and what `__init__` keeps or makes."""
    found = hints(kind)
    written = definition(kind.__module__, f"{kind.__qualname__}.__init__")
    given = hints(kind.__init__)  # type: ignore[misc]  # The class's own, read for its hints.
    for node in ast.walk(written) if written else ():
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
            continue
        if isinstance(node.value, ast.Name) and node.value.id in given:
            found[node.targets[0].attr] = given[node.value.id]
        elif isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            module = importlib.import_module(kind.__module__)
            found[node.targets[0].attr] = getattr(module, node.value.func.id, None)
    return found


class References:
    """Which functions a function names, in the order of the source.

    A function of the same module or class is entered where it is named, since a step of the list
    may be taken in a private one.
    """

    def __init__(self) -> None:
        self._within: list[str] = []

    def of(self, function: Callable[..., Any]) -> Iterator[str]:
        """The dotted names."""
        module, qualified = function.__module__, function.__qualname__
        written = definition(module, qualified)
        if written is None or f"{module}.{qualified}" in self._within:
            return
        self._within.append(f"{module}.{qualified}")
        known = hints(function)
        if "." in qualified:
            known["self"] = getattr(importlib.import_module(module), qualified.split(".")[0])
        for node in in_order(written):
            found = self._named(node, importlib.import_module(module), known)
            if found is None:
                continue
            yield f"{found.__module__}.{found.__qualname__}"
            if found.__module__ == module:
                yield from self.of(found)
        self._within.pop()

    def _named(self, node: ast.AST, module: Any, known: dict[str, Any]) -> Any:
        if isinstance(node, ast.Name):
            found = None if node.id in known else getattr(module, node.id, None)
        elif isinstance(node, ast.Attribute):
            holder = self._type(node.value, module, known)
            found = getattr(holder, node.attr, None)
        else:
            return None
        return plain(found) if inspect.isfunction(plain(found)) else None

    def _type(self, node: ast.expr, module: Any, known: dict[str, Any]) -> Any:
        """The module or class that an expression is, or is an object of."""
        if isinstance(node, ast.Name):
            return known.get(node.id) or getattr(module, node.id, None)
        if isinstance(node, ast.Attribute):
            holder = self._type(node.value, module, known)
            if isinstance(holder, type):
                return kept_types(holder).get(node.attr)
            return getattr(holder, node.attr, None)
        return None


def in_order(node: ast.AST) -> Iterator[ast.AST]:
    """What a function is made of, as it is read; not its decorators or types."""
    for name, value in ast.iter_fields(node):
        if name in ("decorator_list", "args", "returns", "annotation") and not isinstance(
            node, ast.Call
        ):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield each
                yield from in_order(each)


WAY = the_way()


def test_the_page_is_a_page() -> None:
    """It is read once, whole, by whoever comes next."""
    assert len(TEXT.splitlines()) <= LINES_MAX
    rows = re.search(r"## Code map\n\n\|.*\n\|---.*\n((?:\|.*\n)+)", TEXT)
    assert rows
    assert len(rows[1].splitlines()) <= MAP_ROWS_MAX


def test_every_place_of_the_map_exists() -> None:
    """A map shows what is there."""
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    for row in rows:
        room, *wings = re.findall(r"`(.*?)`", row)
        for place in wings:
            assert (ROOT / room / place).exists() or (ROOT / place).exists(), place
        assert (ROOT / room).exists(), room


@pytest.mark.parametrize("step", list(steps(WAY)), ids=lambda step: step.name)
def test_each_step_exists_and_calls_the_next(step: Step) -> None:
    """In the order of the page, whatever else the function does between."""
    function = plain(resolve(step.name)[0])
    assert callable(function)
    named = References().of(function)
    for call in step.calls:
        wanted = plain(resolve(call.name)[0])
        name = f"{wanted.__module__}.{wanted.__qualname__}"
        assert name in named, f"{step.name} does not lead to {call.name} here"


def test_the_two_halves_meet_in_a_task() -> None:
    """The receiver asks for the second half by its name, and imports nothing of it."""
    assert [root.name.split(".")[0] for root in WAY] == ["ingest", "ingest", "workers"]
    assert WAY[-1].name == celery_config.DRAIN
