"""The product makes its engines of the settings, so that each is guarded and knows of a pooler."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = [path for room in ("ingest", "workers") for path in sorted((ROOT / room).rglob("*.py"))]


def engines(path: Path) -> list[ast.Call]:
    """Where a file makes an engine."""
    return [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("make_engine")
    ]


@pytest.mark.parametrize(
    "path", [path for path in FILES if engines(path)], ids=lambda path: path.stem
)
def test_an_engine_is_made_of_settings_and_not_of_a_url(path: Path) -> None:
    """A bare URL says nothing of copies, poolers and other primaries."""
    for call in engines(path):
        assert not ast.unparse(call.args[0]).endswith("_url")
