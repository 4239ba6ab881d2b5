"""`doctor`: one line for each thing that an installation needs, and how to mend it."""

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

import settings
from workers.operations.api_version import examine_version
from workers.operations.doctor import examine
from workers.operations.findings import Finding, Level

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--api-version", help="Only whether an endpoint may be upgraded to this version.")
def doctor(*, as_json: bool, api_version: str | None) -> None:
    """Check settings, keys, database, Redis, queue, scheduler and webhook endpoint."""
    findings = []
    for finding in _examined(api_version):
        findings.append(finding)
        click.echo(json.dumps(asdict(finding)) if as_json else _line(finding))
    if any(finding.level is Level.FAIL for finding in findings):
        raise SystemExit(1)


def _examined(api_version: str | None) -> Iterator[Finding]:
    if api_version is not None:
        return examine_version(api_version)
    return examine(settings.load(needs=("database_url", "redis_url")))


def _line(finding: Finding) -> str:
    mark = click.style(finding.level.value.ljust(4), fg=_COLOURS[finding.level])
    cure = "" if finding.level is Level.OK or not finding.cure else f"  -> {finding.cure}"
    return f"{mark}  {finding.subject.ljust(10)} {finding.says}{cure}"
