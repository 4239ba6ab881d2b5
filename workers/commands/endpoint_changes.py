"""`webhook_endpoint rotate` and `upgrade`: a second endpoint takes the place of ours."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from db.endpoints.changes import Change, Purpose, State
from domain.decode import DECODERS
from domain.endpoints.endpoint import Endpoint, Style
from workers.commands.endpoint_desk import DRY, Desk, open_desk
from workers.commands.options import Duration, request
from workers.commands.shadow_report import ShadowReport
from workers.endpoints import checking, second
from workers.endpoints.comparing import LATE_SECONDS, Comparison, Ours
from workers.endpoints.rotation import Rotation
from workers.endpoints.second import EndpointChangeError, Tools
from workers.endpoints.upgrade import Upgrade
from workers.questions import own_account

# How often it is looked whether there is something to do.
LOOK_EVERY_SECONDS = 1.0
_BROKEN_OFF = "Broken off; run it again, and it goes on from here."

_GIVE_UP = click.option(
    "--give-up", "gives_up", is_flag=True, help="End what is under way: the second endpoint goes."
)
_DEPLOYED = click.option(
    "--deployed", "is_deployed", is_flag=True, help="Every receiver has the new secret; ask none."
)
_BY = click.option("--by", metavar="NAME", help="Who asks for it  [default: your user name]")


@click.command()
@click.option(
    "--for", "seconds", type=Duration(), default="1h", show_default=True, help="How long both run."
)
@_DEPLOYED
@_GIVE_UP
@DRY
@_BY
def rotate(
    seconds: int, *, is_deployed: bool, gives_up: bool, is_dry: bool, by: str | None
) -> None:
    """Give the endpoint a new secret without losing a delivery.

    A second endpoint with a secret of its own delivers beside the old one, which then goes. Run it
    again after any break.
    """
    with open_desk() as desk, _resumable():
        tools = desk.tools(is_deployed=is_deployed)
        if gives_up:
            _give_up(tools, Purpose.ROTATE, is_dry=is_dry)
            return
        rotation = Rotation(tools, desk.gateway, request(by, None).by)
        change = second.under_way(tools, Purpose.ROTATE)
        old = None if change else _our_endpoint(desk)
        if is_dry:
            _say_plan(change, old, "with a secret of its own")
            return
        if change is None and old is not None:
            change = rotation.begin(old)
        if change is None:
            return
        change, secret = rotation.make(change, _style_of(desk, change), tuple(DECODERS))
        while (change := rotation.enable(change, secret)).state is State.MADE:
            _wait_for_receivers(secret)
        click.echo(f"{change.new_id} and {change.old_id} both deliver.")
        while change.state is State.ENABLED and rotation.seconds_both(change) < seconds:
            time.sleep(LOOK_EVERY_SECONDS)
        rotation.finish(change)
        _say_done(change)


@click.command()
@click.argument("version", required=False, default="")
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    default="1h",
    show_default=True,
    help="For how long nothing may differ before it switches.",
)
@click.option(
    "--late",
    type=Duration(),
    default=f"{LATE_SECONDS:.0f}s",
    show_default=True,
    help="How late the other half of a pair may be.",
)
@click.option(
    "--accept",
    "accepted",
    metavar="FACT",
    multiple=True,
    help="A fact that may differ (`invoice.lines*`, `in_1abc *`); repeatable.",
)
@_DEPLOYED
@_GIVE_UP
@DRY
@_BY
def upgrade(
    version: str,
    seconds: int,
    late: int,
    accepted: tuple[str, ...],
    *,
    is_deployed: bool,
    gives_up: bool,
    is_dry: bool,
    by: str | None,
) -> None:
    """Move the endpoint to another API version (ours where none is named), with proof.

    A shadow endpoint in that version runs beside it; what both say is compared, and each fact that
    differs is shown. It switches when nothing has differed for the time given. Run it again after
    any break.
    """
    with open_desk() as desk, _resumable():
        tools = desk.tools(is_deployed=is_deployed)
        if gives_up:
            _give_up(tools, Purpose.UPGRADE, is_dry=is_dry)
            return
        ours = Ours(own_account.read(desk.settings, desk.engine), desk.settings.stripe_test_mode)
        comparison = Comparison(desk.engine, ours, accepted=accepted, late_seconds=late)
        run = Upgrade(tools, desk.gateway, comparison, request(by, None).by)
        change = second.under_way(tools, Purpose.UPGRADE, version)
        old = None if change else _our_endpoint(desk)
        if is_dry:
            _say_plan(change, old, f"in {version or desk.gateway.api_version}, as a shadow")
            return
        if change is None and old is not None:
            change = run.begin(old, version or desk.gateway.api_version)
        if change is None:
            return
        change, secret = run.make(change, tuple(DECODERS))
        while (change := run.enable(change, secret)).state is State.MADE:
            _wait_for_receivers(secret)
        _watch(run, change, seconds)
        run.switch(change)
        _say_done(change)


def _watch(run: Upgrade, change: Change, seconds: int) -> None:
    """Compare until nothing has differed for so long."""
    if change.state is not State.ENABLED:
        return
    click.echo(f"{change.new_id} delivers {change.to_version} beside {change.from_version}.")
    report = ShadowReport(seconds)
    while True:
        standing = run.look(change)
        report.show(standing)
        if standing.is_clean and standing.quiet_seconds >= seconds:
            return
        time.sleep(LOOK_EVERY_SECONDS)


@contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\n{_BROKEN_OFF}", err=True)
        raise SystemExit(130) from None


def _our_endpoint(desk: Desk) -> Endpoint:
    """The one that is to be changed; an error in words where that is none or not one."""
    ours = [
        each.endpoint
        for each in checking.look(desk.engine, desk.gateway).ours
        if each.endpoint.is_enabled and not any(one.what == "left over" for one in each.drift)
    ]
    if not ours:
        raise EndpointChangeError(
            "Stripe has no enabled endpoint of ours; make one with `webhook_endpoint create`."
        )
    if len(ours) > 1:
        names = ", ".join(f"{each.id} ({each.style})" for each in ours)
        raise EndpointChangeError(
            f"several endpoints are ours: {names}. `webhook_endpoint create URL --style STYLE` of"
            " the one that is meant notes it as ours."
        )
    return ours[0]


def _style_of(desk: Desk, change: Change) -> Style:
    found = {each.id: each.style for each in desk.remote.every()}
    return found.get(change.old_id, found.get(change.new_id or "", Style.SNAPSHOT))


def _give_up(tools: Tools, purpose: Purpose, *, is_dry: bool) -> None:
    if is_dry:
        change = second.under_way(tools, purpose)
        would = "The second endpoint would be removed" if change else f"No {purpose} is under way"
        click.echo(f"{would}. Nothing done.")
    elif second.given_up(tools, purpose):
        click.echo(f"The {purpose} is over without effect; the second endpoint is removed.")
    else:
        click.echo(f"No {purpose} is under way.")


def _say_plan(change: Change | None, old: Endpoint | None, how: str) -> None:
    if change is not None:
        click.echo(f"A {change.purpose} is under way ({change.state}); it would go on.")
    elif old is not None:
        click.echo(f"Beside {old.id} ({old.url}) a second endpoint would be made {how}.")
    click.echo("Nothing done.")


def _say_done(change: Change) -> None:
    click.echo(
        f"{change.old_id} is removed; {change.new_id} is our endpoint. Take the old secret out of"
        f" {second.VARIABLE}: nothing comes with it any more."
    )


def _wait_for_receivers(secret: str) -> None:
    if not secret:
        raise SystemExit(1)
    time.sleep(LOOK_EVERY_SECONDS)
