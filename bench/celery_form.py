"""The usual Celery task per event as a thing that can be started, filled and measured."""

from collections.abc import Sequence

from celery import Celery

from bench.accept import gunicorn
from bench.backlog import Drained, drained, unsynced
from bench.scale import SECONDS_MAX
from bench.stand import Stand, product_settings
from bench.trees import CpuMeter, Tree
from dev.up.ports import free_port
from sandbox.simulate.engine import Event

APP = "bench.rivals.tasks:app"
QUEUE = "celery"
TASK = "usual.handle"


class CeleryForm:
    """A Celery worker with a place of its own; its queue is a list in Redis."""

    def __init__(self, stand: Stand, *, processes: int) -> None:
        """Start the worker with so many processes."""
        self._stand = stand
        self.place = stand.place()
        self.settings = product_settings(self.place)
        words = ("-m", "celery", "-A", APP, "worker", "--pool", "prefork", "--loglevel", "info")
        self.worker = stand.start(
            "celery", (*words, "--concurrency", str(processes)), self.settings
        )
        self._app = Celery("filler", broker=self.place.redis_url, set_as_current=False)

    def receiver(self) -> tuple[Tree, int]:
        """The Flask handler that queues, under gunicorn with a process for each of two cores."""
        port = free_port()
        words = gunicorn("bench.rivals.web:queued", port, workers=2)
        tree = self._stand.start("celery-web", words, self.settings)
        self._stand.await_answer(tree, port)
        return tree, port

    def drained(self, chosen: Sequence[Event]) -> Drained:
        """Fill the queue while nobody takes from it, then measure."""
        self.place.empty()
        meter = CpuMeter((self.worker, self._stand.postgres, self._stand.valkey))
        with unsynced(self.place), self._app.connection_for_write() as connection:
            for event in chosen:
                self._app.send_task(TASK, (event.body.decode(),), connection=connection, queue=HELD)
        return drained(
            lambda: len(chosen) - self.place.applied(),
            self._release,
            meter,
            seconds_max=SECONDS_MAX,
            every_seconds=0.05,
        )

    def _release(self) -> None:
        with self.place.redis() as client:
            client.rename(HELD, QUEUE)


HELD = "held"
