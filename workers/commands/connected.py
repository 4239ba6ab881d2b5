"""What a command that asks Stripe works with."""

import click

import settings
from settings import Settings
from stripe_gateway import StripeGateway, open_gateway


def connected() -> tuple[Settings, StripeGateway]:
    """The settings, and Stripe; ends the command in words where either is missing."""
    try:
        configured = settings.load(needs=("database_url", "stripe_secret_key"))
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    gateway = open_gateway(configured)
    if gateway is None:
        raise click.ClickException("Stripe is not enabled: set STRIPE_ENABLED=True.")
    return configured, gateway
