"""`doctor`: one line for each thing that an installation needs, and how to mend it."""

import json
from dataclasses import asdict

import click

import settings
from workers.operations.doctor import examine
from workers.operations.findings import Finding, Level

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(*, as_json: bool) -> None:
    """Check settings, keys, database, Redis, queue, scheduler and webhook endpoint."""
    findings = []
    for finding in examine(settings.load(needs=("database_url", "redis_url"))):
        findings.append(finding)
        click.echo(json.dumps(asdict(finding)) if as_json else _line(finding))
    if any(finding.level is Level.FAIL for finding in findings):
        raise SystemExit(1)


def _line(finding: Finding) -> str:
    mark = click.style(finding.level.value.ljust(4), fg=_COLOURS[finding.level])
    cure = "" if finding.level is Level.OK or not finding.cure else f"  -> {finding.cure}"
    return f"{mark}  {finding.subject.ljust(10)} {finding.says}{cure}"
