"""The Celery tasks. Each one calls a function of another module with the worker's context."""

from functools import partial

from celery.signals import worker_process_init, worker_process_shutdown, worker_ready
from kombu.exceptions import OperationalError

import celery_config
import telemetry
from celery_config import app
from workers.context import context
from workers.hearing import deliver
from workers.liveness import celery_watchdog
from workers.pipeline.collecting import keep_what_is_there
from workers.pipeline.drain import drain as drain_all
from workers.pipeline.give_back import give_back_now
from workers.questions import own_account, turn
from workers.questions.asking import ask_stripe
from workers.questions.fetching import fetch_noticed
from workers.questions.superseded import expire_superseded
from workers.schedule import redis_change
from workers.schedule.access import look_at_due
from workers.schedule.prune import prune as prune_once
from workers.schedule.reconcile import catch_up
from workers.schedule.sweep import sweep as sweep_once

log = telemetry.get_logger("tasks")


def send_wake_up() -> None:
    """Ask for a drain. Where the broker does not take the message, the sweep sends it again."""
    _send(celery_config.DRAIN)


def _send(task: str, **arguments: bool) -> None:
    try:
        app.send_task(task, kwargs=arguments)
    except (OperationalError, OSError) as error:
        log.warning("task not sent", task=task, error=type(error).__name__)


@app.task(name=celery_config.DRAIN)  # type: ignore[untyped-decorator]  # Celery has no types.
def drain() -> None:
    """Apply every event that waits in the stream and the inbox; have thin ones fetched."""
    if drain_all(context(), send_wake_up).noticed and context().can_ask:
        _send(celery_config.FETCH)


@app.task(name=celery_config.SWEEP)  # type: ignore[untyped-decorator]  # As above.
def sweep() -> None:
    """Send a wake-up where events wait and no worker is at them.

    Where Redis is another than before, send a reading of Stripe's list too.
    """
    sweep_once(context(), send_wake_up)
    if redis_change.notice(context()):
        _send(celery_config.RECONCILE)


@app.task(  # type: ignore[untyped-decorator]  # As above.
    name=celery_config.ASK,
    soft_time_limit=celery_config.ASK_SOFT_TIME_LIMIT_SECONDS,
    time_limit=celery_config.ASK_TIME_LIMIT_SECONDS,
)
def ask() -> None:
    """Ask Stripe to expire superseded sessions, then the open questions.

    Then send the reading of Stripe's list that waits for its turn, if there is one.
    """
    expire_superseded(context())
    ask_stripe(context())
    if cause := turn.next_reading(context()):
        options = {cause: True} if cause in ("after_outage", "goes_on") else {}
        _send(celery_config.RECONCILE, **options)


@app.task(  # type: ignore[untyped-decorator]  # As above.
    name=celery_config.FETCH,
    soft_time_limit=celery_config.ASK_SOFT_TIME_LIMIT_SECONDS,
    time_limit=celery_config.ASK_TIME_LIMIT_SECONDS,
)
def fetch() -> None:
    """Ask Stripe what thin events speak of, as far as its budget allows."""
    if fetch_noticed(context()).is_unfinished:
        _send(celery_config.FETCH)


@app.task(name=celery_config.ACCOUNT)  # type: ignore[untyped-decorator]  # As above.
def account() -> None:
    """Ask Stripe which account is ours, until it has answered once."""
    worker_context = context()
    if own_account.is_wanted(worker_context.engine, worker_context.own):
        turn.in_turn(
            worker_context, partial(own_account.ask, worker_context.engine, worker_context.own)
        )


@app.task(name=celery_config.ACCESS)  # type: ignore[untyped-decorator]  # As above.
def access() -> None:
    """Look at everybody whose access changes by itself about now."""
    look_at_due(context())


@app.task(name=celery_config.PRUNE)  # type: ignore[untyped-decorator]  # As above.
def prune() -> None:
    """Delete messages that are old and that everybody has."""
    prune_once(context())


@app.task(  # type: ignore[untyped-decorator]  # As above.
    name=celery_config.RECONCILE,
    soft_time_limit=celery_config.RECONCILE_SOFT_TIME_LIMIT_SECONDS,
    time_limit=celery_config.RECONCILE_TIME_LIMIT_SECONDS,
)
def reconcile(*, after_outage: bool = False, goes_on: bool = False) -> None:
    """Fetch events that never arrived; `after_outage`, only if none has come in for a while."""
    if catch_up(context(), send_wake_up, after_outage=after_outage, goes_on=goes_on):
        # Between two parts of a long reading, questions are asked.
        turn.leave_reading(context(), goes_on=True)
        _send(celery_config.ASK)


@worker_ready.connect  # type: ignore[untyped-decorator]  # As above.
def make_up(**_sender: object) -> None:
    """Look for what happened while no worker ran, without waiting for the scheduler."""
    _send(celery_config.SWEEP)
    _send(celery_config.RECONCILE, after_outage=True)
    _send(celery_config.ACCOUNT)


@worker_ready.connect  # type: ignore[untyped-decorator]  # As above.
def begin_watching(**_sender: object) -> None:
    """Watch Celery from the main process, and tell destinations."""
    celery_watchdog.start_watch()
    deliver.start()


@worker_process_init.connect  # type: ignore[untyped-decorator]  # As above.
def settle_in(**_sender: object) -> None:
    """Spare each process of the pool the garbage collector's looks at what it starts with."""
    keep_what_is_there()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # As above.
def give_back(**_sender: object) -> None:
    """End the leases that this process of the pool would give back in its next drain."""
    if context.cache_info().currsize:
        give_back_now(context())
