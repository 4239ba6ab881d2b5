"""What the set-ups for several machines have in common, for their tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from click.testing import CliRunner

import settings
from dev.up.postgres import DISCREET
from workers.commands.command_line import command_line
from workers.operations.database_checks import LOCKS_PER_TRANSACTION_MIN

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KNOWN = {settings.variable(name) for name in settings.Settings.__dataclass_fields__}
# Read by Prometheus' client itself.
KNOWN_TO_OTHERS = {"PROMETHEUS_MULTIPROC_DIR"}
ROLES = ("web", "worker", "beat")
PASSWORD = "letters0and1digits"


def options_of(command: list[str]) -> None:
    """Fail where a command or one of its options is none of the product's."""
    told = CliRunner().invoke(command_line, [command[0], "--help"])
    assert told.exit_code == 0, command
    for word in command[1:]:
        assert not word.startswith("--") or word in told.output, word


def check_parameters(parameters: Mapping[str, object]) -> None:
    """What doctor and the law of silent logs ask of a PostgreSQL."""
    assert int(cast("str", parameters["max_locks_per_transaction"])) == LOCKS_PER_TRANSACTION_MIN
    assert {name: parameters[name] for name in DISCREET} == DISCREET


def script(name: str) -> str:
    """One of the scripts that start an engine."""
    return (DEPLOY / "ha" / name).read_text(encoding="utf-8")
