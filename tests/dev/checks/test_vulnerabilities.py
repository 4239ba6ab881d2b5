"""The audit step of `test`: findings fail, and whatever keeps it from asking does not."""

import json

import pytest

from dev.checks import steps, vulnerabilities
from dev.checks.vulnerabilities import Audit, audit


def saying(*vulns: dict[str, object]) -> tuple[str, str]:
    """A stand-in for pip-audit that reports one package with these vulnerabilities."""
    packages = [
        {"name": "sound", "version": "1", "vulns": []},
        {"name": "bad", "version": "2", "vulns": list(vulns)},
        {"name": "elsewhere", "skip_reason": "not in the list"},
    ]
    told = json.dumps({"dependencies": packages, "fixes": []})
    return "-c", f"import sys; print({told!r}); sys.exit({int(bool(vulns))})"


def test_a_known_vulnerability_is_named() -> None:
    """With the version that mends it."""
    found = audit(saying({"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": []}))
    assert found == Audit(["bad 2: PYSEC-1, mended in 2.1"])


def test_nothing_known_is_nothing_found() -> None:
    """Every package was looked up."""
    assert audit(saying()) == Audit([])


def test_an_unreachable_list_is_told_and_nothing_more() -> None:
    """A machine without a network can still test everything else."""
    found = audit(("-c", "import sys; sys.exit('ERROR: connection refused')"))
    assert found == Audit(skipped="the list of vulnerabilities is out of reach")


def test_a_slow_list_is_given_up() -> None:
    """Nobody waits for minutes."""
    found = audit(("-c", "import time; time.sleep(30)"), seconds_max=0.2)
    assert found == Audit(skipped="no answer within 0.2 s")


def test_a_missing_tool_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name."""
    monkeypatch.setattr(vulnerabilities, "TOOL", "there_is_no_such_tool")
    assert audit(("-m", "there_is_no_such_tool")) == Audit(skipped="pip-audit is not installed")


@pytest.mark.parametrize(
    ("found", "status", "verdict"),
    [
        (Audit(["bad 2: PYSEC-1"]), 1, "FAILED"),
        (Audit([]), 0, "ok"),
        (Audit(skipped="out of reach"), 0, "skipped: out of reach"),
    ],
)
def test_only_findings_fail_the_test_command(found: Audit, status: int, verdict: str) -> None:
    """And the table never calls a check that was skipped ok."""
    step = steps.look("audit", lambda: found)
    assert (step.status, step.verdict) == (status, verdict)
    assert verdict in steps.table([step])
