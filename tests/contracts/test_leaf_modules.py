"""Leaf modules and packages, which are no rooms: import-linter sees none of them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = {"db", "dev", "domain", "ingest", "workers"}
LEAVES = ["celery_config", "metrics", "retry", "settings", "stripe_gateway", "telemetry", "telling"]


def imported_by(path: Path) -> set[str]:
    """The top-level names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaf_modules_know_nothing_of_the_rooms(leaf: str) -> None:
    """They are what rooms stand on."""
    modules = list((ROOT / leaf).glob("*.py")) or [ROOT / f"{leaf}.py"]
    assert not {name for path in modules for name in imported_by(path)} & ROOMS


def test_only_settings_reads_the_environment() -> None:
    """One reader, so that every problem is reported at once and nothing is configured twice."""
    readers = {
        path.relative_to(ROOT).as_posix()
        for room in (*ROOMS - {"dev"}, "settings", "stripe_gateway", ".")
        for path in (ROOT / room).glob("**/*.py" if room != "." else "*.py")
        if "os.environ" in path.read_text(encoding="utf-8")
    }
    assert readers <= {
        "settings/loading.py",
        "settings/loopback.py",
        # The front door runs before there are settings, and passes --data on by the environment.
        "manage.py",
        "workers/commands/command_line.py",
        # Celery reads this one by itself when it is imported.
        "celery_config.py",
    }
