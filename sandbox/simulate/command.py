"""The command `simulate`: sell, send, wait, compare, and say how it went.

Talks to the receiver over HTTP only; it reads neither the database nor Redis, so what it checks
is what a frontend would see.
"""

import json
import random
import secrets
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

import settings
from domain.subscriptions.simulated import ID_MARK
from sandbox.simulate.bringing import BringingError, bring
from sandbox.simulate.delivery import Delivered, Delivery, DeliveryError, plan_lanes
from sandbox.simulate.engine import Event
from sandbox.simulate.lives import AnsweringAccount, as_thin
from sandbox.simulate.plans import (
    SAMPLE_PLANS,
    CatalogueError,
    Selection,
    from_listing,
    offer,
    read_file,
    read_patience,
)
from sandbox.simulate.play import play
from sandbox.simulate.progress import meter
from sandbox.simulate.reading import Reader, ReadError, token_maker
from sandbox.simulate.report import Report, make_report, show
from sandbox.simulate.scene import DAY
from sandbox.simulate.verification import verify_users
from sandbox.simulate.versions import BY_CHOICE


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for on the command line."""

    customers: int
    duplicates: float
    shuffle: bool
    seed: int
    run: str
    rate: float | None
    api_version: str
    timeout: float
    connections: int
    plans: Path
    former: Path | None
    style: str


@click.command()
@click.option("--customers", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--duplicates",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Chance that an event is delivered again, up to three times.",
)
@click.option("--shuffle", is_flag=True, help="Send everything in random order.")
@click.option("--seed", type=int, default=None, help="Repeat the stories of an earlier run.")
@click.option("--run", default=None, help="Repeat the ids of a run of the same day and seed too.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Most events a second.")
@click.option(
    "--api-version", type=click.Choice(sorted(BY_CHOICE)), default="mixed", show_default=True
)
@click.option("--url", default=None, help="The receiver; without it, HOST and PORT as set.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds without any progress before giving up.",
)
@click.option("--connections", type=click.IntRange(1, 256), default=8, show_default=True)
@click.option(
    "--plans",
    type=click.Path(dir_okay=False, path_type=Path),
    default=SAMPLE_PLANS,
    help="Catalogue file with the price ids.  [default: the sample]",
)
@click.option(
    "--former",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Catalogue that was loaded before, whose renewing plans have other price ids now: "
    "some buyers keep its prices.",
)
@click.option(
    "--style",
    type=click.Choice(["snapshot", "thin", "both"]),
    default="snapshot",
    show_default=True,
    help="What is sent of each event; of thin ones the offline Stripe that `up` starts is asked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def simulate(
    seed: int | None,
    run: str | None,
    url: str | None,
    *,
    as_json: bool,
    **asked: object,
) -> None:
    """Send a realistic, signed stream of events and check what came of it."""
    wanted = Run(
        seed=secrets.randbelow(10**6) if seed is None else seed,
        run=run or secrets.token_hex(4),
        **asked,  # type: ignore[arg-type]  # click has checked each option's type.
    )
    console = Console(stderr=as_json)
    try:
        loaded = settings.load(needs=("stripe_webhook_secrets", "jwt_secret"))
        report = perform(wanted, loaded, url or _address(loaded), console)
    except (
        *(BringingError, CatalogueError, DeliveryError),
        *(ReadError, settings.SettingsError),
    ) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        show(report, console)
    if not report.right:
        raise SystemExit(1)


def perform(wanted: Run, loaded: settings.Settings, url: str, console: Console) -> Report:
    """Do a whole run against the receiver at `url`.

    Raises BringingError, CatalogueError, DeliveryError or ReadError when it cannot be done at all.
    """
    token_for = token_maker(loaded.jwt_secret, loaded.jwt_audience, loaded.jwt_issuer)
    console.print(
        f"simulate: {wanted.customers:,} customers, run {wanted.run}, seed {wanted.seed}, {url}",
        highlight=False,
    )
    delivery = Delivery(url, loaded.stripe_webhook_secrets[0], rate=wanted.rate)
    with closing(Reader(url, token_for)) as reader:
        chosen = _offer(reader, wanted)
        for note in chosen.notes:
            console.print(f"note: {note}", highlight=False, markup=False)
        account = sell(wanted, chosen)
        events = _told(wanted, account, loaded)
        delivered = _deliver(wanted, events, delivery, console)
        expectations = account.expected.users()
        if chosen.is_confirmed:
            patience = read_patience(wanted.plans)
            expectations = account.entitled(expectations, chosen.plans, patience)
        with meter(console, "users right", len(expectations)) as progress:
            verification = verify_users(
                reader, expectations, timeout_seconds=wanted.timeout, progress=progress
            )
    return make_report(
        run=wanted.run,
        seed=wanted.seed,
        events=events,
        expectations=expectations,
        delivered=delivered,
        verification=verification,
    )


def _address(loaded: settings.Settings) -> str:
    # A receiver that listens everywhere is reached here.
    host = "127.0.0.1" if loaded.host in {"0.0.0.0", "::", ""} else loaded.host  # noqa: S104 - compared, not bound.
    return f"http://{host}:{loaded.port}"


def _offer(reader: Reader, wanted: Run) -> Selection:
    nobody = f"sim-{wanted.run}-catalogue"
    listed = [
        item
        for path in ("/billing/plans/full/", "/billing/plans/token/")
        for item in reader.items(path, nobody)
    ]
    older = read_file(wanted.former) if wanted.former else ()
    in_file = [plan.risen_from(older) for plan in read_file(wanted.plans)]
    return offer(in_file, from_listing(listed))


def _told(wanted: Run, account: AnsweringAccount, loaded: settings.Settings) -> list[Event]:
    """What is sent of all that happened; of thin events Stripe must be able to tell the rest."""
    if wanted.style == "snapshot":
        return account.events
    if not loaded.stripe_api_base:
        raise BringingError(
            "thin events are asked about: run `up` without STRIPE_SECRET_KEY, which starts the"
            " offline Stripe, or name one in STRIPE_API_BASE"
        )
    bring(loaded.stripe_api_base, account.answers())
    return as_thin(account) if wanted.style == "thin" else [*account.events, *as_thin(account)]


def sell(wanted: Run, chosen: Selection) -> AnsweringAccount:
    """Let the run's customers live in a simulated account."""
    # Midnight, so that a run repeated on the same day has the same bytes.
    today = int(time.time()) // DAY * DAY
    account = AnsweringAccount(seed=wanted.seed, run=wanted.run, starts_at=today)
    account.links_are_told = wanted.style != "snapshot"
    account.id_mark = ID_MARK
    versions = BY_CHOICE[wanted.api_version]
    play(account, chosen.plans, versions, customers=wanted.customers, today=today)
    return account


def _deliver(wanted: Run, events: list[Event], delivery: Delivery, console: Console) -> Delivered:
    queues = plan_lanes(
        events,
        lanes=wanted.connections,
        duplicates=wanted.duplicates,
        shuffle=wanted.shuffle,
        # It decides an order, not a secret, and must repeat with the seed.
        chance=random.Random(wanted.seed),  # noqa: S311
    )
    with meter(console, "accepted", sum(map(len, queues))) as progress:
        return delivery.send(queues, len(events), progress)
