"""The run that loses machines can fail: builds that are broken on purpose are found out by it.

`manage.py test --machines` runs these after the run itself.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dev.faults.product import ROOT
from dev.machines import enclosure, rabbits

pytestmark = [
    pytest.mark.faults_long,
    pytest.mark.timeout(500),
    pytest.mark.skipif(
        bool(enclosure.reason_against()), reason=f"no networks: {enclosure.reason_against()}"
    ),
]
SEED = 20_261_127
WAITS_FOR_NOBODY = {
    "db/queue/copies.py": """
Copies.questions = lambda self: ()
Copies.failure = lambda self, answers: None
""",
    "db/queue/durability.py": """
_careful = _copies_verdict


def _copies_verdict(replication, copies):
    return _careful(replication, 0)
""",
}
WATCHES_NOTHING = {
    "workers/liveness/standstill.py": """

def start_watch():
    pass
"""
}
BELIEVES_ANYBODY = {
    "db/connections/guard.py": """
Guard._require = lambda self, server: None
""",
    "db/connections/copies.py": """

def require(connection, wanted):
    pass
""",
}


def broken(tmp_path: Path, code: Mapping[str, str]) -> Path:
    """A copy of the product in which files end with this code."""
    copy = tmp_path / "broken"
    shutil.copytree(
        ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "node_modules")
    )
    for file, more in code.items():
        source = (copy / file).read_text()
        (copy / file).write_text(source + more)
    return copy


def outcome(
    tmp_path: Path, root: Path, loss: str, broker: str = "redis", *more: str
) -> dict[str, Any]:
    """What a run with this loss alone says of a build."""
    told = tmp_path / "outcome.json"
    words = ("--seed", str(SEED), "--broker", broker, "--only", loss, "--root", str(root), *more)
    done = subprocess.run(
        [sys.executable, "-m", "dev.machines", *words, "--json", str(told)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.exists(), done.stdout + done.stderr
    assert done.returncode != 0
    [found] = json.loads(told.read_text())
    assert len(found["happened"]) == 1
    return dict(found)


@pytest.mark.parametrize("loss", ["Redis: both replicas", "Redis: a primary that only receivers"])
def test_a_build_that_waits_for_no_copy_loses_what_it_answered(tmp_path: Path, loss: str) -> None:
    """More than three hundred events, each answered 200."""
    found = outcome(tmp_path, broken(tmp_path, WAITS_FOR_NOBODY), loss)
    assert found["verdict"]["lost"] > 300, found


@pytest.mark.skipif(bool(rabbits.reason_against()), reason=rabbits.reason_against())
def test_a_build_that_watches_for_no_standstill_is_late(tmp_path: Path) -> None:
    """Both stores are well, and nobody applies what waits in them: RabbitMQ as it is by default."""
    build = broken(tmp_path, WATCHES_NOTHING)
    found = outcome(tmp_path, build, "RabbitMQ: the", "rabbitmq", "--tick-seconds", "60")
    assert found["verdict"]["longest_delay_seconds"] > 30, found
    assert found["verdict"]["lost"] == 0


def test_a_build_that_believes_any_primary_gives_events_away(tmp_path: Path) -> None:
    """The old primary takes them, and has nobody who would know of them."""
    found = outcome(tmp_path, broken(tmp_path, BELIEVES_ANYBODY), "PostgreSQL: an old primary")
    assert found["verdict"]["lost"] > 0, found
