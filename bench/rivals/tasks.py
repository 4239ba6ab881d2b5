"""A Celery task per event, acknowledged late: the usual advice for webhooks.

`app` is what `celery worker` runs; the broker is the same Redis, as durable, as the product has.
"""

from functools import cache

import orjson
from celery import Celery
from sqlalchemy import Engine, create_engine

import settings
from bench.rivals import usual

QUEUE = "celery"

_found = settings.load(needs=("database_url", "redis_url"))
app = Celery("usual", broker=_found.redis_url)
app.conf.update(
    task_acks_late=True, task_ignore_result=True, broker_connection_retry_on_startup=True
)


@cache
def engine() -> Engine:
    """The pool of this process, made after the fork."""
    return create_engine(_found.database_url)


@app.task(name="usual.handle")  # type: ignore[untyped-decorator]  # Celery has no types.
def handle(body: str) -> None:
    """Apply one event."""
    usual.apply(engine(), orjson.loads(body), body.encode())
