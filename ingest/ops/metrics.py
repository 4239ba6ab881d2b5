"""What Prometheus reads at `/metrics`: the counts, and the state of both queues as it is now.

A store that cannot be asked leaves its numbers out and says that it is down; the rest is told all
the same. Meant for the inner network: the proxy of the production set-up does not pass it on.
"""

import time
from collections.abc import Iterable, Iterator, Mapping

import redis
from flask import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

import metrics
from db.operations import loose_ends
from db.questions import questions
from db.questions.questions import Waiting
from db.queue import backlog
from db.queue.backlog import InboxBacklog, StreamBacklog
from db.queue.heartbeat import Heartbeat
from ingest.context import ReceiverContext, current_context
from ingest.http.routes import Routes

_TEXT = {"text/plain": {"schema": {"type": "string"}, "example": "billing_queue_depth 0.0\n"}}

routes = Routes("metrics", "What Prometheus reads.")


@routes.get("/metrics", "getMetrics", _TEXT)
def exposition() -> Response:
    """Tell every number, in Prometheus' text format.

    For the inner network: the proxy of the production set-up does not pass it on.
    """
    now = CollectorRegistry()
    now.register(_State(current_context()))
    return Response(metrics.exposition() + generate_latest(now), content_type=metrics.CONTENT_TYPE)


class _State(Collector):
    """The stores' state, read when it is asked for."""

    def __init__(self, context: ReceiverContext) -> None:
        self._context = context

    def describe(self) -> Iterable[Metric]:
        """Nothing: else the stores would be asked when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every number that the stores can give at the moment."""
        stream, beaten = self._ask_redis()
        inbox, loose, asked = self._ask_database()
        yield _up(stream, inbox)
        if loose is not None:
            yield _loose(loose)
        yield from _waiting(stream, inbox)
        yield from _questions(asked)
        yield from _times(stream, inbox, beaten)

    def _ask_redis(self) -> tuple[StreamBacklog | None, int | None]:
        try:
            client = self._context.redis
            return backlog.in_stream(client), Heartbeat(client).last()
        except (redis.RedisError, OSError):
            return None, None

    def _ask_database(
        self,
    ) -> tuple[InboxBacklog | None, Mapping[str, int] | None, Waiting | None]:
        try:
            with self._context.engine.connect() as connection:
                return (
                    backlog.in_inbox(connection),
                    loose_ends.counts(connection),
                    questions.waiting(connection),
                )
        except SQLAlchemyError:
            return None, None, None


def _up(stream: StreamBacklog | None, inbox: InboxBacklog | None) -> Metric:
    return _gauge(
        "billing_store_up",
        "Whether a store answers: 1 or 0.",
        "store",
        {"redis": float(stream is not None), "database": float(inbox is not None)},
    )


def _loose(counts: Mapping[str, int]) -> Metric:
    return _gauge(
        "billing_loose_ends",
        "What takes no effect yet, because something is missing, by kind.",
        "kind",
        counts,
    )


def _waiting(stream: StreamBacklog | None, inbox: InboxBacklog | None) -> Iterator[Metric]:
    depths: dict[str, float] = {}
    if stream:
        depths["stream"] = stream.depth
    if inbox:
        depths["inbox"] = inbox.received + inbox.failed
        yield _gauge(
            "billing_events_unapplied",
            "Events of the inbox that are not applied, by status.",
            "status",
            {"received": inbox.received, "failed": inbox.failed, "dead": inbox.dead},
        )
    yield _gauge("billing_queue_depth", "Events that wait, by queue.", "queue", depths)


def _questions(asked: Waiting | None) -> Iterator[Metric]:
    if asked:
        yield _gauge(
            "billing_questions",
            "What is to be asked of Stripe: waiting for an answer, or given up and left to a"
            " person.",
            "state",
            {"waiting": asked.waiting, "given_up": asked.given_up},
        )
        yield GaugeMetricFamily(
            "billing_oldest_question_age_seconds",
            "Age of the oldest question that Stripe has not answered at all; 0 when there is none.",
            value=asked.oldest_seconds or 0.0,
        )


def _times(
    stream: StreamBacklog | None, inbox: InboxBacklog | None, beaten: int | None
) -> Iterator[Metric]:
    stream_oldest = stream.oldest_ms / 1000 if stream and stream.oldest_ms else None
    stream_newest = stream.newest_ms / 1000 if stream and stream.newest_ms else None
    if stream or inbox:
        yield _age(
            "billing_oldest_unapplied_age_seconds",
            "Age of the oldest event that is neither applied nor dead, also if it waits for a"
            " later try; 0 when nothing waits.",
            (stream_oldest, inbox.oldest_seconds if inbox else None),
        )
        yield _age(
            "billing_lag_seconds",
            "How long the event that is most overdue should have been applied; 0 when none is.",
            (stream_oldest, inbox.due_seconds if inbox else None),
        )
    yield from _time(
        "billing_newest_event_timestamp_seconds",
        "When the newest event was received.",
        (stream_newest, inbox.newest_seconds if inbox else None),
    )
    yield from _time(
        "billing_scheduler_heartbeat_timestamp_seconds",
        "When the last sweep ran, which takes beat, the broker and a worker.",
        (beaten,),
    )


def _time(name: str, documentation: str, times: Iterable[float | None]) -> Iterator[Metric]:
    """The latest of the times that are known; nothing where none is."""
    known = [each for each in times if each is not None]
    if known:
        yield GaugeMetricFamily(name, documentation, value=max(known))


def _age(name: str, documentation: str, times: Iterable[float | None]) -> Metric:
    """How long ago the earliest of the times was."""
    now = time.time()
    oldest = min((each for each in times if each is not None), default=now)
    return GaugeMetricFamily(name, documentation, value=max(0.0, now - oldest))


def _gauge(name: str, documentation: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
