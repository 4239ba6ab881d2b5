"""The order of the house: rooms have wings, and a wing is entered by what its `__init__` names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("domain", "db", "workers", "ingest", "sandbox", "dev")
LOOSE_MAX = 7


def modules(place: str) -> list[Path]:
    """The modules that lie in a folder itself."""
    return [path for path in (ROOT / place).glob("*.py") if path.name != "__init__.py"]


def wing_of(dotted: str) -> str | None:
    """The wing that a module's name leads into."""
    parts = dotted.split(".")
    if len(parts) < 2 or parts[0] not in ROOMS:
        return None
    return ".".join(parts[:2]) if (ROOT / parts[0] / parts[1]).is_dir() else None


def wings() -> list[str]:
    """Every wing of every room that has code in it."""
    return sorted(
        f"{room}.{path.parent.name}"
        for room in ROOMS
        for path in (ROOT / room).glob("*/__init__.py")
        if path.parent.name != "migrations"
    )


def named(wing: str) -> set[str]:
    """What a wing says may be used of it."""
    tree = ast.parse((ROOT / wing.replace(".", "/") / "__init__.py").read_text("utf-8"))
    found: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            found = ast.literal_eval(node.value)
    return set(found)


def entered() -> Iterator[tuple[str, str, str]]:
    """Who imports which module of which wing, from outside of it."""
    for room in (*ROOMS, "bench"):
        for path in (ROOT / room).rglob("*.py"):
            here = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names: list[str] = []
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
                elif isinstance(node, ast.Import):
                    names = [each.name for each in node.names]
                for name in names:
                    wing = wing_of(name)
                    if wing is None or wing == wing_of(here):
                        continue
                    module = name.removeprefix(wing).lstrip(".").split(".")[0]
                    place = ROOT / wing.replace(".", "/") / module
                    if module and (place.is_dir() or place.with_suffix(".py").exists()):
                        yield here, wing, module


@pytest.mark.parametrize("room", ROOMS)
def test_few_files_lie_loose_in_a_room(room: str) -> None:
    """What belongs to one stage of the work lies in its wing."""
    loose = sorted(path.name for path in modules(room))
    assert len(loose) <= LOOSE_MAX, loose


def test_a_wing_is_entered_only_by_what_it_names() -> None:
    """Everything else of it is its own business and may change."""
    strays = {
        f"{here} uses {wing}.{module}"
        for here, wing, module in entered()
        if module not in named(wing)
    }
    assert strays == set()


@pytest.mark.parametrize("wing", wings())
def test_what_a_wing_names_exists_and_is_told(wing: str) -> None:
    """A name for nothing is a door to nowhere; a wing says what it is for."""
    place = ROOT / wing.replace(".", "/")
    tree = ast.parse((place / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(tree)
    defined = {
        each.asname or each.name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for each in node.names
    }
    defined |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    defined |= {
        ast.unparse(target)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    modules_of = {path.stem for path in place.glob("*.py")} | {
        path.name for path in place.iterdir() if path.is_dir()
    }
    assert named(wing) <= defined | modules_of
