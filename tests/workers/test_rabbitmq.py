"""The worker on a real RabbitMQ: a quorum queue, a list of brokers, a broker that comes back."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amqp.exceptions import (  # type: ignore[import-untyped]  # It ships no types.
    NotFound,
    PreconditionFailed,
)
from kombu.connection import Connection

import celery_config
import settings
from tests.pipeline import balances, put
from tests.rabbitmq import RabbitMQ, a_rabbitmq, is_there
from tests.stripe_objects import a_session, an_event
from tests.workers.liveness.broken_brokers import a_worker, that_refuses, wait_until
from workers.context import WorkerContext
from workers.rabbitmq import QueueLength

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(240),
    # The AMQP client leaves a socket that was refused to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not is_there(), reason="there is no rabbitmq-server on this machine"),
]
# From the moment that it listens again.
BACK_SECONDS_MAX = 5.0


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Such a socket is collected here, where it is no failure, and not in the test of another."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A node that listens."""
    with a_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as node:
        yield node


def connected(broker: RabbitMQ) -> Any:
    """A connection of the test's own."""
    return Connection(broker.url)  # type: ignore[no-untyped-call]  # As said.


class Place:
    """A worker's settings on this broker, and sales that a wake-up is sent for."""

    def __init__(self, context: WorkerContext, environ: dict[str, str]) -> None:
        self.context = context
        self.environ = environ
        self.settings = settings.load(environ=environ)
        self._sold = 0

    def sell(self, *, wake: bool = True) -> str:
        """A sale as the receiver would store it; returns whose."""
        self._sold += 1
        user = f"user_{self._sold}"
        session = a_session(id=f"cs_{self._sold}", client_reference_id=user)
        session["metadata"]["user_id"] = user
        put(self.context, [an_event("checkout.session.completed", session)])
        if wake:
            publisher = celery_config.make_app(self.settings, publisher=True)
            publisher.send_task(celery_config.DRAIN, ignore_result=True)
        return user

    def seconds_to(self, user: str) -> float:
        """How long it takes until this user has their tokens."""
        return wait_until(lambda: user in balances(self.context.engine))


@pytest.fixture
def place(
    context: WorkerContext, database_url: str, redis_url: str, broker: RabbitMQ
) -> Iterator[Place]:
    """The broker is the second of a list whose first is away."""
    with that_refuses() as port:
        several = f"amqp://guest:guest@127.0.0.1:{port}//;{broker.url}"
        environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        yield Place(context, environ | {"CELERY_BROKER_URL": several})


def test_a_broker_that_dies_is_missed_for_seconds(
    place: Place, broker: RabbitMQ, tmp_path: Path
) -> None:
    """Events are applied meanwhile, and by wake-ups as soon as it is back."""
    with a_worker(tmp_path / "worker.log", **place.environ):
        place.seconds_to(place.sell())
        assert place.seconds_to(place.sell()) < BACK_SECONDS_MAX
        with connected(broker) as connection:
            with pytest.raises(PreconditionFailed):
                connection.channel().queue_declare(
                    celery_config.QUORUM_QUEUE, arguments={"x-queue-type": "classic"}
                )
            with pytest.raises(NotFound):
                connection.channel().exchange_declare("celery_delayed_27", "topic", passive=True)
        # A drain that waits for more keeps the next task waiting.
        assert wait_until(lambda: QueueLength(place.settings).ask() == 0) < BACK_SECONDS_MAX
        broker.kill()
        assert place.seconds_to(place.sell(wake=False)) < 30
        with pytest.raises(OSError, match="Error"):
            QueueLength(place.settings).ask()
        broker.start()
        asked = QueueLength(place.settings)
        publisher = celery_config.make_app(place.settings, publisher=True)
        wait_until(lambda: bool(publisher.send_task(celery_config.DRAIN, ignore_result=True)))
        assert wait_until(lambda: asked.ask() == 0) < BACK_SECONDS_MAX


def test_a_queue_of_the_wrong_type_keeps_no_event(
    place: Place, broker: RabbitMQ, tmp_path: Path
) -> None:
    """RabbitMQ refuses the worker again and again; both stores are well."""
    with connected(broker) as connection:
        channel = connection.channel()
        channel.queue_delete(celery_config.QUORUM_QUEUE)
        channel.queue_declare(celery_config.QUORUM_QUEUE, durable=True, auto_delete=False)
    with a_worker(tmp_path / "worker.log", **place.environ):
        assert place.seconds_to(place.sell(wake=False)) < 30
    with connected(broker) as connection:
        connection.channel().queue_delete(celery_config.QUORUM_QUEUE)
