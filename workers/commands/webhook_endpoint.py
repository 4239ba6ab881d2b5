"""`webhook_endpoint`: our endpoint at Stripe, made, checked, rotated and upgraded."""

import json
from typing import Any

import click

from domain.decode import DECODERS
from domain.endpoints import endpoint as endpoints
from domain.endpoints.endpoint import Kind, Style
from workers.commands.endpoint_changes import rotate, upgrade
from workers.commands.endpoint_desk import DRY, open_desk
from workers.commands.groups import Suggesting
from workers.endpoints import checking, making, mending, second
from workers.endpoints.checking import Checked, Look
from workers.endpoints.remote import wanted_of

_URL = click.option("--url", default="", help="Where it must post  [default: as it was made]")


@click.group(cls=Suggesting)
def webhook_endpoint() -> None:
    """Our webhook endpoint at Stripe: make it, tell its drift, rotate its secret, upgrade it."""


@webhook_endpoint.command()
@click.argument("url")
@click.option(
    "--style",
    type=click.Choice([each.value for each in Style]),
    default=Style.SNAPSHOT.value,
    show_default=True,
    help="What it sends: objects as they were, or notices that they changed.",
)
@click.option(
    "--destination", "is_destination", is_flag=True, help="An event destination also for snapshots."
)
@DRY
def create(url: str, style: str, *, is_destination: bool, is_dry: bool) -> None:
    """Make the endpoint with our list of events and our version, once; print its secret, once."""
    if not url.startswith(("https://", "http://")):
        raise click.ClickException(f"{url} is no URL; give https://<your host>.")
    with open_desk() as desk:
        kind = Kind.DESTINATION if is_destination or style == Style.THIN else Kind.CLASSIC
        wanted = wanted_of(
            Style(style), endpoints.whole(url), desk.gateway.api_version, tuple(DECODERS)
        )
        if is_dry:
            there = making.existing(desk.remote, wanted)
            what = f"{there.id} is there already" if there else f"a {kind} endpoint would be made"
            click.echo(f"{what}: {wanted.url}, {style}, {len(wanted.types)} types. Nothing done.")
            return
        made = making.create(desk.engine, desk.remote, kind, wanted)
        if made.is_new:
            click.echo(f"{made.endpoint.id} posts {style} events to {made.endpoint.url}.")
            click.echo(f"Its secret, which is not shown again: {made.secret}")
            click.echo(
                f"Set {second.VARIABLE} to it in the environment (or .env) of every receiver, and"
                " restart them. Until then Stripe's deliveries are refused, and repeated."
            )
            return
        drift = endpoints.drift(made.endpoint, wanted)
        click.echo(f"{made.endpoint.id} posts to {made.endpoint.url} already; none was made.")
        for each in drift:
            click.echo(f"  {each.says}  -> {each.cure}")
        click.echo(
            "Stripe shows its secret in the dashboard only; `webhook_endpoint rotate` makes"
            " another one."
        )


@webhook_endpoint.command()
@_URL
@click.option("--mend", "mends", is_flag=True, help="Set URL, types and status right.")
@DRY
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(url: str, *, mends: bool, is_dry: bool, as_json: bool) -> None:
    """Compare the endpoint with what it must be; exit 1 where it differs."""
    with open_desk() as desk:
        look = checking.look(desk.engine, desk.gateway, url=url)
        if mends and not is_dry:
            for each in look.ours:
                for line in mending.mend(desk.remote, each):
                    click.echo(line, err=as_json)
            look = checking.look(desk.engine, desk.gateway, url=url)
        _show(look, as_json=as_json)
    if look.missing or any(each.drift for each in look.checked):
        raise SystemExit(1)


def _show(look: Look, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_plain(look)))
        return
    for each in look.checked:
        mark = "drift" if each.drift else "ok   "
        click.echo(f"{mark}  {said_of(each)}")
        for drift in each.drift:
            click.echo(f"       {drift.says}  -> {drift.cure}")
    if look.missing:
        click.echo(f"drift  {look.missing}  -> `webhook_endpoint create https://<your host>`")


def said_of(checked: Checked) -> str:
    """An endpoint in one line."""
    endpoint = checked.endpoint
    version = endpoint.version or ("no version" if endpoint.style is Style.THIN else "default")
    status = "enabled" if endpoint.is_enabled else "disabled"
    note = f"; {checked.note}" if checked.note else ""
    return f"{endpoint.id} {endpoint.url}, {endpoint.style}, {version}, {status}{note}"


def _plain(look: Look) -> dict[str, Any]:
    return {
        "missing": look.missing,
        "endpoints": [
            {
                "id": each.endpoint.id,
                "url": each.endpoint.url,
                "style": each.endpoint.style,
                "version": each.endpoint.version,
                "status": "enabled" if each.endpoint.is_enabled else "disabled",
                "is_ours": each.is_ours,
                "note": each.note,
                "drift": [{"what": one.what, "says": one.says} for one in each.drift],
            }
            for each in look.checked
        ],
    }


webhook_endpoint.add_command(rotate)
webhook_endpoint.add_command(upgrade)
