"""`worker` and `beat`: one production process each, run by whatever supervises them."""

import os
import socket
import warnings

import click

import settings

NEEDS = ("database_url", "redis_url")


@click.command()
@click.option("--concurrency", default=2, show_default=True, help="Processes of the pool.")
def worker(concurrency: int) -> None:
    """Run one worker: drains the queue, sweeps, retries. SIGTERM ends it within seconds."""
    settings.load(needs=NEEDS)
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
