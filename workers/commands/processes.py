"""`worker` and `beat`: one production process each, run by whatever supervises them."""

import os
import socket
import warnings

import click

import settings
import telemetry
from workers.without_redis import bridge, until_back

NEEDS = ("database_url", "redis_url")


@click.command()
@click.option("--concurrency", default=2, show_default=True, help="Processes of the pool.")
def worker(concurrency: int) -> None:
    """Run one worker: drains the queue, sweeps, retries. SIGTERM ends it within seconds."""
    found = settings.load(needs=NEEDS)
    telemetry.configure(found.log_format, "worker", level=found.log_level)
    bridge()
    from celery.platforms import SecurityWarning  # noqa: PLC0415 - slow, and only needed here.

    from celery_config import app  # noqa: PLC0415 - it reads the settings, which are checked by now.

    # Celery warns root of unpickling; nothing but JSON is accepted here.
    warnings.simplefilter("ignore", SecurityWarning)

    # Nodes are told apart by name, also several on one machine.
    name = f"worker-{os.getpid()}@{socket.gethostname()}"
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=prefork",
            f"--concurrency={concurrency}",
            f"--hostname={name}",
            *quiet,
        ]
    )


@click.command()
def beat() -> None:
    """Run the scheduler. Any number may run; a lock in Redis lets one of them act."""
    settings.load(needs=NEEDS)
    from celery_config import app  # noqa: PLC0415 - as for the worker.

    app.start(["--quiet", "beat", "--pidfile="])


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema; a no-op when it is there."""
    found = settings.load(needs=("database_url",))
    from db.migrate import upgrade  # noqa: PLC0415 - as for the worker.

    upgrade(found.database_url)
    click.echo("The schema is the newest one.")


@click.command(hidden=True)
def drain_inbox() -> None:
    """Apply what waits until Redis takes writes again. Workers run this by themselves."""
    found = settings.load(needs=NEEDS)
    telemetry.configure(found.log_format, "worker", level=found.log_level)
    from workers.drain import drain  # noqa: PLC0415 - as for the worker.
    from workers.wiring import wiring  # noqa: PLC0415 - as above.

    ports = wiring()
    # Without a bell nobody helps out: this process goes on until nothing is left.
    until_back(ports.events.takes_writes, lambda: drain(ports, lambda: None))
