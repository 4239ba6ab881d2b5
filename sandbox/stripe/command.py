"""The commands `offline_stripe` and `sandbox`: serve the offline Stripe until told to stop."""

import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

import settings
import telemetry
from sandbox.stripe.server import HOST, serve
from sandbox.stripe.world import World

FILE_NAME = "offline-stripe.sqlite"
SECRET_FILE_NAME = "sandbox-secret"  # noqa: S105 - the name of a file.
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
    target = webhook_url or f"http://{HOST}:{loaded.port}{WEBHOOK_PATH}"
    with _served(loaded.data_dir, port, target, loaded.stripe_webhook_secrets[0]) as url:
        _log.info("offline Stripe ready", url=url, webhooks=target)
        _await_the_end()
    _log.info("offline Stripe stopped")


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any."
)
@click.option("--webhook-url", default="", help="Where events are posted  [default: nowhere].")
def sandbox(port: int, webhook_url: str) -> None:
    """Run a Stripe on this machine for any client of Stripe; nothing else of the product runs."""
    loaded = settings.load(needs=())
    telemetry.configure(loaded.log_format, "sandbox", level=loaded.log_level)
    secret = next(iter(loaded.stripe_webhook_secrets), None) or _own_secret(loaded.data_dir)
    with _served(loaded.data_dir, port, webhook_url, secret) as url:
        click.echo(f"The sandbox answers at {url}; what it holds: {url}/")
        click.echo("key       sk_test_sandbox, or any other that begins with sk_test_")
        if webhook_url:
            click.echo(f"webhooks  {webhook_url}, signed with {secret}")
        else:
            click.echo("webhooks  nowhere; name a --webhook-url, or make a webhook endpoint")
        _await_the_end()
    click.echo("Stopped.")


@contextmanager
def _served(data_dir: Path, port: int, webhook_url: str, secret: str) -> Iterator[str]:
    world = World.open(data_dir / FILE_NAME)
    if world.set_aside:
        _log.warning(
            "the offline Stripe begins anew: its file cannot be read",
            kept=str(world.set_aside),
        )
    try:
        with serve(world, port=port, webhook_url=webhook_url, secret=secret) as url:
            yield url
    except OSError as error:
        raise click.ClickException(f"cannot serve at port {port}: {error.strerror}") from error
    finally:
        world.close()


def _await_the_end() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    stop.wait()


def _own_secret(data_dir: Path) -> str:
    """A signing secret that stays the same, for who has set none."""
    path = data_dir / SECRET_FILE_NAME
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"whsec_{secrets.token_hex(16)}", encoding="utf-8")
        path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()
