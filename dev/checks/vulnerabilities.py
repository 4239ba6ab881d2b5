"""Looks for known vulnerabilities in what production runs; part of `test`.

It needs a list that is kept elsewhere. Where that is out of reach nothing fails, and the verdict
says that nothing was found out.
"""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOOL = "pip_audit"
# Only what runs in production: a flaw in a tool for tests must not hold up a mended product.
COMMAND = (
    *("-m", TOOL, "--disable-pip", "--require-hashes", "--requirement", "locks/production.txt"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "5"),
)
SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Audit:
    """What is known to be wrong, one line each; `skipped` says why nothing could be found out."""

    found: Sequence[str] = ()
    skipped: str = ""


def audit(command: Sequence[str] = COMMAND, *, seconds_max: float = SECONDS_MAX) -> Audit:
    """Ask about every package of the production lock; gives up after `seconds_max`."""
    if TOOL in command and not importlib.util.find_spec(TOOL):
        return Audit(skipped="pip-audit is not installed")
    try:
        result = subprocess.run(  # noqa: S603 - the project's own tools.
            [sys.executable, *command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds_max,
        )
    except subprocess.TimeoutExpired:
        return Audit(skipped=f"no answer within {seconds_max:g} s")
    try:
        packages = json.loads(result.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        # Its status is 1 when it finds something and when it can ask nobody; then it is mute.
        return Audit(skipped="the list of vulnerabilities is out of reach")
    return Audit(
        [_told(package, flaw) for package in packages for flaw in package.get("vulns", ())]
    )


def _told(package: Mapping[str, Any], flaw: Mapping[str, Any]) -> str:
    mended = ", ".join(flaw["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']}: {flaw['id']}, mended in {mended}"
