"""What RabbitMQ needs of a worker: a consumer that is soon back, and a look at what waits in it."""

from contextlib import suppress
from functools import partial
from typing import Any

from celery.worker import consumer
from kombu.connection import Connection
from kombu.exceptions import OperationalError

import celery_config
import settings

CONNECT_SECONDS_MAX = 2.0
# Between two attempts at all the brokers of the list. Kombu's own goes up to 30 s.
PAUSE_SECONDS_MAX = 2.0


class Consumer(consumer.Consumer):  # type: ignore[misc]  # Celery has no types.
    """Celery's consumer, without its delayed delivery, and with short pauses between attempts.

    Nothing here has a countdown. For quorum queues Celery would make 28 queues to delay tasks in,
    and wait for a dead broker while it does, before it listens.
    """

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc]  # As above.
        """The steps, but for the one that is not needed."""

        default_steps = tuple(
            step
            for step in consumer.Consumer.Blueprint.default_steps
            if "delayed_delivery" not in step
        )

    def ensure_connected(self, conn: Any) -> Any:  # noqa: ANN401 - as above.
        """Try until a broker answers."""
        conn.ensure_connection = partial(
            conn.ensure_connection,
            interval_start=PAUSE_SECONDS_MAX / 4,
            interval_step=PAUSE_SECONDS_MAX / 4,
            interval_max=PAUSE_SECONDS_MAX,
        )
        return super().ensure_connected(conn)


class QueueLength:
    """How many messages wait in our queue, asked on a connection of its own."""

    def __init__(self, configured: settings.Settings) -> None:
        self._queue = celery_config.queue_of(configured)
        options = celery_config.make_app(configured, publisher=True).conf
        connection: Any = Connection(  # type: ignore[no-untyped-call]  # Kombu's types are few.
            options.broker_url,
            connect_timeout=CONNECT_SECONDS_MAX,
            transport_options=options.broker_transport_options,
        )
        self._connection = connection
        self._others = options.broker_url.count(";")

    def ask(self) -> int:
        """The number; raises OSError where the broker cannot be asked."""
        own = self._connection.connection_errors + self._connection.channel_errors
        failures = (*own, OperationalError)
        try:
            self._connection.ensure_connection(max_retries=self._others, interval_start=0)
            with self._connection.channel() as channel:
                declared = channel.queue_declare(queue=self._queue, passive=True)
                return int(declared.message_count)
        except failures as error:
            with suppress(*failures):
                self._connection.close()
            raise ConnectionError(type(error).__name__) from error
