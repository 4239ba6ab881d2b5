"""`worker` and `beat`: one production process each, run by whatever supervises them."""

import os
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import settings
import telemetry
from workers.liveness import standstill
from workers.liveness.announcing import announce, start_announcing, withdraw
from workers.liveness.liveness_file import touch, touch_regularly

NEEDS = ("database_url", "redis_url")
LIVENESS_FILE = click.option(
    "--liveness-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file to touch every second or two, so that a supervisor sees that this process lives.",
)


@click.command()
@click.option(
    "--concurrency",
    default=2,
    show_default=True,
    help="Processes of the pool. One of all workers' may wait for Stripe, so have at least two.",
)
@LIVENESS_FILE
def worker(concurrency: int, liveness_file: Path | None) -> None:
    """Run one worker: drains the queue, sweeps, retries. SIGTERM ends it within seconds."""
    if liveness_file:
        touch_regularly(liveness_file)
    configured = settings.load(needs=NEEDS)
    telemetry.configure(configured.log_format, "worker", level=configured.log_level)
    telemetry.catch_uncaught()
    standstill.wait_for_redis(
        lambda: standstill.drain_aside("redis takes no writes", until="redis")
    )
    announce()
    # Both go on while Celery waits for its broker: events are applied meanwhile.
    start_announcing()
    standstill.start_watch()
    try:
        exit_code = _run_celery(concurrency)
        if exit_code:
            # Celery has given up, as on a queue of another type, and will again when restarted.
            standstill.drain_aside("celery has ended", until="once")
    finally:
        # Celery has a signal for this and does not send it when it is told to end at once.
        withdraw()
    sys.exit(exit_code)


def _run_celery(concurrency: int) -> int:
    """Run Celery's worker until it ends; returns what it ends with."""
    from celery.platforms import SecurityWarning  # noqa: PLC0415 - slow, and only needed here.

    from celery_config import app  # noqa: PLC0415 - it reads the settings, which are checked by now.

    # Celery warns root of unpickling; nothing but JSON is accepted here.
    warnings.simplefilter("ignore", SecurityWarning)

    # Nodes are told apart by name, also several on one machine.
    name = f"worker-{os.getpid()}@{socket.gethostname()}"
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    exit_code = _exit_code_to_be()
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
    return exit_code()


def _exit_code_to_be() -> Callable[[], int]:
    """What Celery's worker, yet to be made, ends with; Celery's own command keeps it to itself."""
    from celery.signals import worker_init  # noqa: PLC0415 - as for the worker.

    made: list[Any] = []

    def remember(sender: object, **_rest: object) -> None:
        made.append(sender)

    worker_init.connect(remember, weak=False)
    return lambda: int(made[-1].exitcode or 0) if made else 0


@click.command()
@LIVENESS_FILE
def beat(liveness_file: Path | None) -> None:
    """Run the scheduler. Any number may run; a lock in Redis lets one of them act."""
    if liveness_file:
        show_liveness_of_scheduler(liveness_file)
    settings.load(needs=NEEDS)
    telemetry.catch_uncaught()
    from celery_config import app  # noqa: PLC0415 - as for the worker.

    app.start(["--quiet", "beat", "--pidfile="])


def show_liveness_of_scheduler(path: Path) -> None:
    """Touch the file whenever the scheduler sends a task.

    Until it has the lock, it sends none; then that it runs is enough.
    """
    from celery.signals import after_task_publish  # noqa: PLC0415 - as for the worker.

    acts = threading.Event()

    def sent(**_message: object) -> None:
        acts.set()
        touch(path)

    after_task_publish.connect(sent, weak=False)
    touch_regularly(path, until=acts.is_set)


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema; a no-op when it is there."""
    configured = settings.load(needs=("database_url",))
    from db.migrate import upgrade  # noqa: PLC0415 - as for the worker.

    upgrade(configured.database_url)
    click.echo("The schema is the newest one.")


@click.command(hidden=True)
@click.option("--until", type=click.Choice(["redis", "sweeps", "once"]), default="redis")
@click.option("--parent", type=int, help="End when this process has ended.")
def drain_inbox(until: str, parent: int | None) -> None:
    """Apply what waits: once, or until Redis or sweeps are back. Workers run this themselves."""
    configured = settings.load(needs=NEEDS)
    telemetry.configure(configured.log_format, "worker", level=configured.log_level)
    from db.queue.heartbeat import Heartbeat  # noqa: PLC0415 - as for the worker.
    from db.queue.stream import connect  # noqa: PLC0415 - as above.
    from workers.context import context  # noqa: PLC0415 - as above.
    from workers.pipeline.drain import drain  # noqa: PLC0415 - as for the worker.
    from workers.pipeline.give_back import give_back_now  # noqa: PLC0415 - as above.

    worker_context = context()
    # Without wake-ups nobody helps out: this process goes on until nothing is left.
    heartbeat = Heartbeat(connect(configured.redis_url))
    back = standstill.Return(worker_context.events, heartbeat, until=until, parent=parent)
    standstill.until_back(back.is_complete, lambda: drain(worker_context, lambda: None))
    give_back_now(worker_context)
