"""Reads which fields Stripe's objects have out of a release of Stripe's Python SDK.

Each release pins one API version and has a typed class for every object. Its source is parsed and
not imported, so that it may be newer or older than the release that is installed.
"""

import ast
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path


@dataclass(frozen=True)
class Field:
    """A field that a path leads to: all fields of its object, and the values of an enum."""

    neighbours: frozenset[str]
    values: frozenset[str]


class PathGone(LookupError):  # noqa: N818 - no error of ours: Stripe has let a field go.
    """A release lacks a field of a path; the message names the release's file and the field."""


@dataclass(frozen=True)
class _Shape:
    """A typed class: its fields with their types, the classes inside it, and what holds it."""

    file: str
    fields: Mapping[str, ast.expr]
    inner: "Mapping[str, _Shape]"


class Sdk:
    """One release, from its wheel."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        with zipfile.ZipFile(wheel) as files:
            self._files = frozenset(files.namelist())
        self._tree = cache(self._read_tree)
        self._imports = cache(lambda file: dict(_imported(self._tree(file))))
        self._shape = cache(self._read_shape)

    @cached_property
    def api_version(self) -> str:
        """The version of the API that the release pins."""
        return next(
            str(node.value.value)
            for node in ast.walk(self._tree("stripe/_api_version.py"))
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        )

    def field(self, kind: str, path: str) -> Field:
        """Follow a path from an object of a kind; raises `PathGone` where it leads nowhere."""
        *folders, module = kind.split(".")
        file = "/".join(("stripe", *folders, f"_{module}.py"))
        if file not in self._files:
            raise PathGone(f"{file}: {kind}")
        way = [self._shape(file, None)]
        *steps, last = [step.removesuffix("[]") for step in path.split(".")]
        for step in steps:
            way = self._behind(self._hint(way, step, kind, path), way)
        hint = self._hint(way, last, kind, path)
        return Field(frozenset(way[-1].fields), frozenset(_literals(hint)))

    def _hint(self, way: list[_Shape], name: str, kind: str, path: str) -> ast.expr:
        hint = way[-1].fields.get(name)
        if hint is None:
            raise PathGone(f"{way[-1].file}: {name}, of {kind}.{path}")
        return hint

    def _behind(self, hint: ast.expr, way: list[_Shape]) -> list[_Shape]:
        """The classes on the way to what a field holds: an object, or a list of objects."""
        names = list(_names(hint))
        if "ListObject" in names:
            entry = next(name for name in names if name not in ("Optional", "ListObject"))
            page = {"data": ast.Name(entry), "has_more": ast.Name("bool")}
            return [*way, _Shape(way[-1].file, page, {})]
        for name in names:
            for outer in reversed(way):
                if name in outer.inner:
                    return [*way, outer.inner[name]]
            file = self._imports(way[-1].file).get(name)
            if file in self._files:
                return [self._shape(file, name)]
        raise PathGone(f"{way[-1].file}: {ast.unparse(hint)}, which is no object")

    def _read_tree(self, file: str) -> ast.Module:
        with zipfile.ZipFile(self.wheel) as files:
            return ast.parse(files.read(file))

    def _read_shape(self, file: str, name: str | None) -> _Shape:
        """The class of this name in a file; without a name the one that is an API's object."""
        classes = [node for node in self._tree(file).body if isinstance(node, ast.ClassDef)]
        return next(
            _shape_of(node, file)
            for node in classes
            if (node.name == name if name else "OBJECT_NAME" in _annotated(node))
        )


def _shape_of(node: ast.ClassDef, file: str) -> _Shape:
    inner = [inside for inside in node.body if isinstance(inside, ast.ClassDef)]
    fields = {
        name: hint
        for name, hint in _annotated(node).items()
        if name != "OBJECT_NAME" and not name.startswith("_")
    }
    return _Shape(file, fields, {inside.name: _shape_of(inside, file) for inside in inner})


def _annotated(node: ast.ClassDef) -> dict[str, ast.expr]:
    return {
        inside.target.id: inside.annotation
        for inside in node.body
        if isinstance(inside, ast.AnnAssign) and isinstance(inside.target, ast.Name)
    }


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            file = f"{node.module.replace('.', '/')}.py"
            yield from ((alias.asname or alias.name, file) for alias in node.names)


def _names(hint: ast.expr) -> Iterator[str]:
    """The names in a type, from the outside in; those in quotes too."""
    for node in ast.walk(hint):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _literals(hint: ast.expr) -> Iterator[str]:
    for node in ast.walk(hint):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
            yield from (
                str(value.value)
                for value in ast.walk(node.slice)
                if isinstance(value, ast.Constant)
            )
