"""The Celery tasks: one line each, everything else is called."""

import celery_config
from celery_config import app
from workers.drain import drain as drain_all
from workers.sweep import sweep as sweep_once
from workers.wiring import wiring


def ring() -> None:
    """Ask for a drain."""
    app.send_task(celery_config.DRAIN)


@app.task(name=celery_config.DRAIN)  # type: ignore[untyped-decorator]  # Celery has no types.
def drain() -> None:
    """Apply everything that waits."""
    drain_all(wiring(), ring)


@app.task(name=celery_config.SWEEP)  # type: ignore[untyped-decorator]  # As above.
def sweep() -> None:
    """Ask again for what was asked for in vain."""
    sweep_once(wiring(), ring)
