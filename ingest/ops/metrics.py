"""What Prometheus reads at `/metrics`: the counts, and the state of both queues as it is now.

A store that does not answer leaves its numbers out and is shown as down; everything else is shown.
This is for the inner network: the proxy of the production set-up does not pass it on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import redis
from flask import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

import metrics
from db.operations import loose_ends
from db.outbox import destinations
from db.questions import notices, questions
from db.queue import backlog
from db.queue.heartbeat import Heartbeat
from ingest.context import ReceiverContext, current_context
from ingest.http.routes import Routes
from ingest.ops import gauges
from ingest.ops.gauges import StoreState

_TEXT = {"text/plain": {"schema": {"type": "string"}, "example": "billing_queue_depth 0.0\n"}}

routes = Routes("metrics", "What Prometheus reads.")


@routes.get("/metrics", "getMetrics", _TEXT)
def get_metrics() -> Response:
    """Tell every number, in Prometheus' text format.

    For the inner network: the proxy of the production set-up does not pass it on.
    """
    registry = CollectorRegistry()
    registry.register(_StoreCollector(current_context()))
    text = metrics.exposition() + generate_latest(registry)
    return Response(text, content_type=metrics.CONTENT_TYPE)


class _StoreCollector(Collector):
    """Reads the state of the stores whenever Prometheus asks."""

    def __init__(self, context: ReceiverContext) -> None:
        self._context = context

    def describe(self) -> Iterable[Metric]:
        """Nothing: otherwise the registry would read the stores when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every number that the stores can give at the moment."""
        return gauges.of_state(self._with_database(self._with_redis(StoreState())))

    def _with_redis(self, state: StoreState) -> StoreState:
        client = self._context.redis
        try:
            return replace(
                state, stream=backlog.in_stream(client), last_sweep_at=Heartbeat(client).last()
            )
        except (redis.RedisError, OSError):
            return state

    def _with_database(self, state: StoreState) -> StoreState:
        try:
            with self._context.engine.connect() as connection:
                return replace(
                    state,
                    inbox=backlog.in_inbox(connection),
                    loose_ends=loose_ends.counts(connection),
                    questions=questions.waiting(connection),
                    notices=notices.waiting(connection),
                    destinations=destinations.states(connection),
                )
        except SQLAlchemyError:
            return state
