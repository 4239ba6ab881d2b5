"""`reverify`: say which stored events can be proved to come from Stripe."""

import json
from datetime import datetime
from typing import TextIO

import click

import settings
from db.engine import make_engine
from workers.commands.options import When
from workers.operations.reverify import Proof, shown
from workers.operations.reverify import reverify as check


@click.command()
@click.option("--since", type=When(), help="Only what was received since: 3d, 12h, 2026-11-23.")
@click.option(
    "--secrets",
    "file",
    type=click.File(encoding="utf-8"),
    help="File with signing secrets of before, one a line; - reads them from the input.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def reverify(since: datetime | None, file: TextIO | None, *, as_json: bool) -> None:
    """Check stored bodies against the signatures that came with them.

    The secrets of STRIPE_WEBHOOK_SECRET are tried, then those of the file. Exits with 1 where a
    body came signed and none of them signed it.
    """
    configured = settings.load(needs=("database_url",))
    older = [line.strip() for line in file] if file else []
    secrets = [*configured.stripe_webhook_secrets, *filter(None, older)]
    engine = make_engine(configured, pool_size=1, application_name="fiko-reverify", guarded=False)
    try:
        proof = check(engine, secrets, lambda _done: None, since=since)
    finally:
        engine.dispose()
    if as_json:
        click.echo(json.dumps(_plain(proof)))
    else:
        _show(proof, secrets)
    if proof.unproved:
        raise SystemExit(1)


def _plain(proof: Proof) -> dict[str, object]:
    return {
        "checked": proof.checked,
        "proved": dict(proof.proved),
        "unproved": proof.unproved,
        "unproved_ids": proof.named,
        "unsigned": dict(proof.unsigned),
    }


def _show(proof: Proof, secrets: list[str]) -> None:
    click.echo(f"{proof.checked:,} events, {len(secrets)} secrets")
    for secret in dict.fromkeys(map(shown, secrets)):
        click.echo(f"{proof.proved[secret]:,} proved: signed with {secret}")
    for source, number in proof.unsigned.items():
        click.echo(f"{number:,} without a signature, from {source}")
    if proof.unproved:
        click.echo(f"{proof.unproved:,} not proved: none of these secrets signed them")
        for event_id in proof.named:
            click.echo(f"  {event_id}")
