"""Mutation check of the domain: small faults put in one by one, each of which a test must find.

Run by hand (`python -m dev.mutate --help`), never by the test suite. A fault lives in the memory
of one forked process; no file is changed.
"""

import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import click
import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "domain"
# A fault that makes a loop endless is found by this clock.
TIMEOUT_SECONDS = 90
# Fewer than the tests ask for: a fault that needs more to be seen counts as not found.
EXAMPLES = 30
# Properties take longest, so they come last: most faults are found long before.
LAST = ("test_spoiled_events.py", "test_merges.py", "test_convergence.py")

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One change to one node, found again by its place in a walk of the module's tree."""

    path: Path
    line: int
    index: int
    what: str


def faults_in(path: Path) -> list[Fault]:
    """Every fault that can be put into a module, in the order of its source."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        Fault(path, getattr(parent, "lineno", 0), index, what)
        for index, (parent, what, _) in enumerate(_changes(tree))
    ]


def faulty_code(fault: Fault) -> CodeType:
    """The module with the fault in it, compiled."""
    tree = ast.parse(fault.path.read_text(encoding="utf-8"))
    for index, (_, _, change) in enumerate(_changes(tree)):
        if index == fault.index:
            change()
            break
    return compile(ast.fix_missing_locations(tree), str(fault.path), "exec")


Change = tuple[ast.AST, str, Callable[[], None]]


def _changes(tree: ast.AST) -> Iterator[Change]:
    for parent in _mutable(tree):
        yield from _operators(parent)
        for name, value in _fields(parent):
            for place, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                for new in _replacements(node, parent, name):
                    yield (
                        parent if not isinstance(node, ast.expr | ast.stmt) else node,
                        f"{_source(node)} -> {_source(new)}",
                        _setter(parent, name, place, new),
                    )


def _setter(parent: ast.AST, name: str, place: int | None, new: ast.AST) -> Callable[[], None]:
    def put() -> None:
        if place is None:
            setattr(parent, name, new)
        else:
            getattr(parent, name)[place] = new

    return put


def _mutable(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but types and `__all__`: annotations and aliases change nothing at run time."""
    yield node
    for _, value in _fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_type_talk(child):
                yield from _mutable(child)


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list", "bases"):
            yield name, value


def _is_type_talk(node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign):
        return False
    alias = ("TypeVar(", "Callable[", "Literal[", "Customer |")
    return _source(node).startswith("__all__") or _source(node.value).startswith(alias)


def _operators(node: ast.AST) -> Iterator[Change]:
    """Operators are shared objects in a tree, so they are swapped on their owner."""
    owned = "ops" if isinstance(node, ast.Compare) else "op"
    operators = getattr(node, owned, None)
    for place, operator in enumerate(operators if isinstance(operators, list) else [operators]):
        swapped = _SWAPS.get(type(operator))
        if swapped is not None:
            index = place if isinstance(operators, list) else None
            what = f"{_source(node)}: {type(operator).__name__} -> {swapped.__name__}"
            yield node, what, _setter(node, owned, index, swapped())


def _replacements(node: object, parent: ast.AST, name: str) -> Iterator[ast.AST]:
    if isinstance(node, ast.Constant) and not isinstance(parent, ast.Expr | ast.JoinedStr):
        yield from _other_constants(node)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        yield ast.Name(_NAMES[node.id], ast.Load())
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()
    elif isinstance(node, ast.Continue):
        yield ast.Break()
    elif isinstance(node, ast.Return) and node.value and _source(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    if name in ("test", "ifs") and isinstance(node, ast.Name | ast.Attribute | ast.Call):
        yield ast.UnaryOp(ast.Not(), copy.deepcopy(node))


def _other_constants(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
    elif isinstance(node.value, str):
        yield ast.Constant(f"{node.value}XX")


def _source(node: object) -> str:
    return ast.unparse(node)[:90].splitlines()[0] if isinstance(node, ast.AST) else repr(node)


class _Importer(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Gives the faulty module to whoever imports it."""

    def __init__(self, fault: Fault) -> None:
        parts = fault.path.relative_to(ROOT).with_suffix("").parts
        self.fault = fault
        self.is_room = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_room else parts)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for the one module, and leave all others to the usual finders."""
        del path, target
        if fullname != self.name:
            return None
        where = [str(self.fault.path.parent)] if self.is_room else None
        return importlib.util.spec_from_file_location(
            fullname, self.fault.path, loader=self, submodule_search_locations=where
        )

    def get_code(self, fullname: str) -> CodeType | None:
        """The faulty code; what the loader runs."""
        del fullname
        return faulty_code(self.fault)

    def get_source(self, fullname: str) -> str | None:
        """The sound source, for tracebacks."""
        del fullname
        return self.fault.path.read_text(encoding="utf-8")


def is_found(fault: Fault | None) -> bool:
    """Whether the tests of the domain fail with this fault (or, with None, as things are)."""
    child = os.fork()
    if child == 0:
        os._exit(_test(fault))
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status != 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _test(fault: Fault | None) -> int:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, phases=phases)
    hypothesis.settings.load_profile("mutation")
    _ask_for_fewer_examples()
    if fault is not None:
        sys.meta_path.insert(0, _Importer(fault))
    files = sorted(
        TESTS.glob("test_*.py"),
        key=lambda path: (LAST.index(path.name) + 1) if path.name in LAST else 0,
    )
    return int(
        pytest.main(
            ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", *map(str, files)]
        )
    )


def _ask_for_fewer_examples() -> None:
    # The tests name their own numbers, which outrank a profile's.
    choose = hypothesis.settings.__init__

    def chosen(self: hypothesis.settings, *args: Any, **named: Any) -> None:  # noqa: ANN401 - handed on.
        if "max_examples" in named:
            named["max_examples"] = EXAMPLES
        choose(self, *args, **named)

    setattr(hypothesis.settings, "__init__", chosen)  # noqa: B010 - mypy refuses the assignment.


@click.command()
@click.option("--sample", type=int, help="Try so many faults, drawn by --seed; all otherwise.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--only", default="", help="Only modules whose path contains this.")
@click.option("--list", "listing", is_flag=True, help="Only count the faults.")
def mutate(sample: int | None, seed: int, only: str, *, listing: bool) -> None:
    """Put faults into the domain and report those that no test finds."""
    modules = [path for path in sorted((ROOT / "domain").rglob("*.py")) if only in str(path)]
    faults = [fault for path in modules for fault in faults_in(path)]
    total = len(faults)
    if listing:
        click.echo(f"{total} faults in {len(modules)} modules")
        return
    if sample is not None and sample < total:
        faults = sorted(random.Random(seed).sample(faults, sample), key=lambda f: (f.path, f.index))  # noqa: S311 - no secret is drawn.
    if is_found(None):
        raise click.ClickException("The tests fail as things are; nothing can be told.")
    survivors = [fault for fault in faults if not _report(fault)]
    found = len(faults) - len(survivors)
    click.echo(f"{found} of {len(faults)} faults found ({found / len(faults):.1%}); {total} in all")


def _report(fault: Fault) -> bool:
    found = is_found(fault)
    if not found:
        click.echo(f"{fault.path.relative_to(ROOT)}:{fault.line}: {fault.what}")
    return found


if __name__ == "__main__":
    mutate()
