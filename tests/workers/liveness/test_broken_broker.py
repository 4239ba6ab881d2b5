"""Events are applied while the broker is broken, in whichever way: both stores are well."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # It ships no types.
import pytest

from tests.pipeline import balances, put
from tests.stripe_objects import a_session, an_event
from tests.workers.liveness.broken_brokers import a_worker, that_hangs, that_refuses, wait_until
from workers.context import WorkerContext

HANGS = (that_hangs, "redis://127.0.0.1:{}/0")
OTHERS = [
    (that_hangs, "amqp://127.0.0.1:{}//"),
    (that_refuses, "amqp://127.0.0.1:{}//"),
    (that_refuses, "redis://127.0.0.1:{}/0"),
]


def sold(context: WorkerContext, number: int) -> None:
    """An event of a sale to a user of its own, as the receiver would store it."""
    session = a_session(id=f"cs_{number}", client_reference_id=f"user_{number}")
    session["metadata"]["user_id"] = f"user_{number}"
    put(context, [an_event("checkout.session.completed", session)])


@pytest.fixture
def stores(database_url: str, redis_url: str) -> dict[str, str]:
    """Where both stores are, which are well."""
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url}


@pytest.mark.parametrize(
    ("broker", "url"), [HANGS, *(pytest.param(*each, marks=pytest.mark.faults) for each in OTHERS)]
)
def test_a_broken_broker_keeps_no_event(
    context: WorkerContext,
    stores: dict[str, str],
    tmp_path: Path,
    broker: Any,
    url: str,
) -> None:
    """Late by some seconds, and what follows is hardly late at all."""
    entered: AbstractContextManager[int] = broker()
    with (
        entered as port,
        a_worker(
            tmp_path / "worker.log",
            **stores,
            CELERY_BROKER_URL=url.format(port),
        ) as worker,
    ):
        sold(context, 1)
        wait_until(lambda: "user_1" in balances(context.engine))
        sold(context, 2)
        assert wait_until(lambda: "user_2" in balances(context.engine)) < 6
        aside = [child for child in psutil.Process(worker.pid).children() if is_aside(child)]
        assert aside
        worker.kill()
        # It ends with its worker.
        wait_until(lambda: not any(child.is_running() for child in aside))


def is_aside(process: psutil.Process) -> bool:
    """Whether this is the process that drains without the broker."""
    return "drain_inbox" in process.cmdline()
