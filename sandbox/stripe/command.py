"""The command `offline_stripe`: serve the offline Stripe until it is told to stop."""

import signal
import threading

import click

import settings
import telemetry
from sandbox.stripe.server import HOST, serve
from sandbox.stripe.world import World

FILE_NAME = "offline-stripe.sqlite"
DEFAULT_PORT = 8001
WEBHOOK_PATH = "/billing/stripe/webhook/"
_log = telemetry.get_logger(__name__)


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any."
)
@click.option(
    "--webhook-url", default=None, help="Where events are posted  [default: the receiver]."
)
def offline_stripe(port: int, webhook_url: str | None) -> None:
    """Play Stripe on this machine: API, hosted pages, signed webhooks. For development only."""
    loaded = settings.load(needs=("stripe_webhook_secrets",))
    telemetry.configure(loaded.log_format, "offline_stripe", level=loaded.log_level)
    world = World.open(loaded.data_dir / FILE_NAME)
    if world.set_aside:
        _log.warning(
            "the offline Stripe begins anew: its file was of another version",
            kept=str(world.set_aside),
        )
    target = webhook_url or f"http://{HOST}:{loaded.port}{WEBHOOK_PATH}"
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        with serve(
            world, port=port, webhook_url=target, secret=loaded.stripe_webhook_secrets[0]
        ) as url:
            _log.info("offline Stripe ready", url=url, webhooks=target)
            stop.wait()
    except OSError as error:
        raise click.ClickException(f"cannot serve at port {port}: {error.strerror}") from error
    finally:
        world.close()
    _log.info("offline Stripe stopped")
