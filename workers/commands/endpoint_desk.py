"""What the commands of our webhook endpoint work with, and the options that they share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from sqlalchemy import Engine

from db.engine import make_engine
from domain.errors import BillingError
from settings import Settings
from stripe_gateway import StripeGateway, StripeUnavailable
from workers.commands.connected import connected
from workers.endpoints.remote import RemoteEndpoints
from workers.endpoints.second import Tools
from workers.operations.catalogue_sync import stripe_problem

DRY = click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be done.")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every one of these commands works with."""

    settings: Settings
    gateway: StripeGateway
    engine: Engine
    remote: RemoteEndpoints

    def tools(self, *, is_deployed: bool = False) -> Tools:
        """The tools of a change."""
        return Tools(
            engine=self.engine,
            remote=self.remote,
            secrets=self.settings.stripe_webhook_secrets,
            say=click.echo,
            is_deployed=is_deployed,
        )


@contextmanager
def open_desk() -> Iterator[Desk]:
    """Everything connected; what goes wrong ends the command in words."""
    configured, gateway = connected()
    engine = make_engine(configured, pool_size=1, application_name="fiko-webhook-endpoint")
    try:
        yield Desk(configured, gateway, engine, RemoteEndpoints(gateway))
    except StripeUnavailable as error:
        raise click.ClickException(f"Stripe refused: {stripe_problem(error)}.") from error
    except BillingError as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.dispose()
