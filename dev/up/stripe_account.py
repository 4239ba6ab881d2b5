"""What `up` does with the Stripe account it works with: puts plans on sale, asks whose data it has.

Where that fails everything else works all the same.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

import settings
from dev.up.console import Console
from dev.up.messages import first_line

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from settings import Settings
    from stripe_gateway import StripeGateway

# More of them Stripe's portal does not offer.
PORTAL_PRODUCTS_MAX = 10


def put_plans_on_sale(directory: Path, console: Console) -> None:
    """Give every plan its price at the offline Stripe, so that its portal can switch plans."""
    from domain.errors import CatalogueError  # noqa: PLC0415 - slow to import; the processes start meanwhile.
    from stripe_gateway import StripeGateway, StripeUnavailable  # noqa: PLC0415 - as above.
    from workers.operations.catalogue_sync import CatalogueSync  # noqa: PLC0415 - as above.

    with _connected(directory) as (configured, engine):
        gateway = StripeGateway(configured)
        sync = CatalogueSync(engine, gateway, configured.stripe_test_mode)
        try:
            made = list(sync.carry_out(sync.plan()))
            offer_plans(gateway)
        except (StripeUnavailable, CatalogueError) as error:
            said = first_line(error)
            console.say("up", f"the offline Stripe was not told what is on sale: {said}")
            return
    if made:
        console.say("up", f"told the offline Stripe what is on sale ({len(made)} changes)")


def look_for_another(directory: Path, console: Console) -> None:
    """Say, as soon as it is known, that the data came from another account than today's."""
    threading.Thread(
        target=_tell_of_another, args=(directory, console), daemon=True, name="account"
    ).start()


def _tell_of_another(directory: Path, console: Console) -> None:
    from stripe_gateway import StripeUnavailable, open_gateway  # noqa: PLC0415 - as above.
    from workers.operations.account_checks import known_customers  # noqa: PLC0415 - as above.

    with _connected(directory) as (configured, engine):
        gateway = open_gateway(configured)
        if gateway is None:
            return
        try:
            findings = known_customers(engine, gateway)
        except (StripeUnavailable, SQLAlchemyError):
            return  # `doctor` tells of that, and the worker.
    for finding in findings:
        console.say("up", f"warning: {finding.says}; {finding.cure}")


def offer_plans(gateway: "StripeGateway") -> None:
    """Let the offline Stripe's portal offer our plans to switch to, and no package."""
    from domain.stripe_catalogue.remote import PLAN_TYPE  # noqa: PLC0415 - as above.

    sold: dict[str, list[str]] = {
        product["id"]: []
        for product in gateway.products()
        if product["active"] and product["metadata"].get(PLAN_TYPE) == "full"
    }
    for price in gateway.prices():
        if price["active"] and price["recurring"] and price["product"] in sold:
            sold[price["product"]].append(price["id"])
    products = [{"product": one, "prices": prices} for one, prices in sold.items() if prices]
    if not products:
        return
    update = {"enabled": True, "products": products[:PORTAL_PRODUCTS_MAX]}
    features = {"subscription_update": update}
    for default in gateway.default_portal_configurations():
        gateway.update_portal_configuration(default["id"], {"features": features})


@contextmanager
def _connected(directory: Path) -> Iterator[tuple["Settings", "Engine"]]:
    from db.engine import make_engine  # noqa: PLC0415 - as above.

    configured = settings.load(environ={**os.environ, "BILLING_DATA": str(directory)})
    engine = make_engine(configured, pool_size=1, application_name="fiko-up")
    try:
        yield configured, engine
    finally:
        engine.dispose()
