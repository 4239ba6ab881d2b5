"""The Celery tasks: one line each, everything else is called."""

from functools import partial

from celery.signals import worker_ready
from kombu.exceptions import OperationalError

import celery_config
import telemetry
from celery_config import app
from workers.context import context
from workers.liveness import celery_watchdog
from workers.liveness.redis_outage import start_watch
from workers.pipeline.drain import drain as drain_all
from workers.questions import own_account, turn
from workers.questions.asking import ask_stripe
from workers.questions.superseded import expire_superseded
from workers.schedule.reconcile import catch_up
from workers.schedule.sweep import sweep as sweep_once

log = telemetry.get_logger("tasks")


def send_wake_up() -> None:
    """Ask for a drain. A broker that does not take it is no matter: the sweep asks again."""
    _send(celery_config.DRAIN)


def _send(task: str, **arguments: bool) -> None:
    try:
        app.send_task(task, kwargs=arguments)
    except (OperationalError, OSError) as error:
        log.warning("task not sent", task=task, error=type(error).__name__)


@app.task(name=celery_config.DRAIN)  # type: ignore[untyped-decorator]  # Celery has no types.
def drain() -> None:
    """Apply everything that waits."""
    drain_all(context(), send_wake_up)


@app.task(name=celery_config.SWEEP)  # type: ignore[untyped-decorator]  # As above.
def sweep() -> None:
    """Ask again for what was asked for in vain."""
    sweep_once(context(), send_wake_up)


@app.task(  # type: ignore[untyped-decorator]  # As above.
    name=celery_config.ASK,
    soft_time_limit=celery_config.ASK_SOFT_TIME_LIMIT_SECONDS,
    time_limit=celery_config.ASK_TIME_LIMIT_SECONDS,
)
def ask() -> None:
    """Ask Stripe to end what must not be paid, and about what its events leave open.

    Then let a reading that waits have its turn.
    """
    expire_superseded(context())
    ask_stripe(context())
    if cause := turn.next_reading(context()):
        options = {cause: True} if cause in ("after_outage", "goes_on") else {}
        _send(celery_config.RECONCILE, **options)


@app.task(name=celery_config.ACCOUNT)  # type: ignore[untyped-decorator]  # As above.
def account() -> None:
    """Ask Stripe which account is ours, until it has said."""
    worker_context = context()
    if own_account.is_wanted(worker_context.engine, worker_context.own):
        turn.in_turn(
            worker_context, partial(own_account.ask, worker_context.engine, worker_context.own)
        )


@app.task(  # type: ignore[untyped-decorator]  # As above.
    name=celery_config.RECONCILE,
    soft_time_limit=celery_config.RECONCILE_SOFT_TIME_LIMIT_SECONDS,
    time_limit=celery_config.RECONCILE_TIME_LIMIT_SECONDS,
)
def reconcile(*, after_outage: bool = False, goes_on: bool = False) -> None:
    """Fetch what never arrived; `after_outage` only if nothing did for a while."""
    if catch_up(context(), send_wake_up, after_outage=after_outage, goes_on=goes_on):
        # Questions have their turn between two parts of a long reading.
        turn.leave_reading(context(), goes_on=True)
        _send(celery_config.ASK)


@worker_ready.connect  # type: ignore[untyped-decorator]  # As above.
def make_up(**_sender: object) -> None:
    """Look for what was missed while no worker ran, without waiting for the scheduler."""
    _send(celery_config.SWEEP)
    _send(celery_config.RECONCILE, after_outage=True)
    _send(celery_config.ACCOUNT)


@worker_ready.connect  # type: ignore[untyped-decorator]  # As above.
def begin_watching(**_sender: object) -> None:
    """Watch Redis, and Celery itself, from the main process of a worker."""
    start_watch()
    celery_watchdog.start_watch()
