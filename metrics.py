"""Counts what the product does, for Prometheus: every counter of every role is defined here.

Labels are event types, statuses, routes and task names; never an id, a user or an address. What
is a state rather than a count (how much waits, how old it is) is read from the stores by
`ingest.ops.metrics`, when Prometheus asks.

Where PROMETHEUS_MULTIPROC_DIR names a directory, every process that shares it is counted in one
sum. Prometheus' client reads that variable by itself, when this module is first imported.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prometheus_client import REGISTRY as OWN_PROCESS
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    start_http_server,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_DELAYS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600, 86_400)
_BATCHES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)
_REQUESTS_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

# The time when a series began is not needed, and would double the output.
disable_created_metrics()  # type: ignore[no-untyped-call]  # The client types half.

_received = Counter(
    "billing_events_received",
    "Signed events that were stored durably, by type and by the store that took them.",
    ["type", "intake"],
)
_refused = Counter(
    "billing_webhooks_refused",
    "Webhook deliveries that were not accepted, by the code of the answer.",
    ["code"],
)
_finished = Counter(
    "billing_events_finished",
    "Attempts that ended, by event type and outcome: applied, ignored, failed, dead.",
    ["type", "status"],
)
_ignored = Counter(
    "billing_events_ignored",
    "Events that were ignored, by reason: foreign_account, other_mode, type (not handled).",
    ["reason"],
)
# Prometheus sees an increase only in a series that existed before.
for _reason in ("foreign_account", "other_mode", "type"):
    _ignored.labels(_reason)
_left = Counter(
    "billing_events_left",
    "Times that an event was left for a worker of a newer release, which can read it.",
)
_duplicates = Counter(
    "billing_event_duplicates", "Deliveries of an event that the inbox had already."
)
_retries = Counter("billing_event_retries", "Events that were retried after a failure.")
_batch = Histogram("billing_batch_events", "Events in one committed transaction.", buckets=_BATCHES)
_delay = Histogram(
    "billing_receive_to_applied_seconds",
    "Time from the receipt of an event to the commit of its effect.",
    buckets=_DELAYS_SECONDS,
)
_requests = Histogram(
    "billing_http_request_duration_seconds",
    "Time to answer a request, by route and class of status.",
    ["route", "status"],
    buckets=_REQUESTS_SECONDS,
)
_streams = Gauge(
    "billing_streams_open",
    "Streams of changes that receivers have open.",
    multiprocess_mode="livesum",
)
_told = Counter(
    "billing_messages",
    "Messages to destinations, by what became of the attempt: told, failed, given_up.",
    ["outcome"],
)
for _outcome in ("told", "failed", "given_up"):
    _told.labels(_outcome)
_sent = Counter(
    "billing_tasks_sent",
    "Celery tasks sent: wake-ups by the receiver, periodic tasks by beat.",
    ["task"],
)


_asked = Counter(
    "billing_stripe_questions",
    "Questions to Stripe that began, by what called for them: notice (a thin event).",
    ["cause"],
)
_generation_failures = Counter(
    "billing_event_generation_failures",
    "Events that Stripe reports it failed to make: its list of events is read again.",
)


def streams_open(count: int) -> None:
    """Tell how many streams of changes this process has open."""
    _streams.set(count)


def event_received(event_type: str, intake: str) -> None:
    """Count one stored event; `intake` is the store that took it: `stream` or `inbox`."""
    _received.labels(event_type, intake).inc()


def webhook_refused(code: str) -> None:
    """Count one delivery that was refused with this problem code."""
    _refused.labels(code).inc()


def request_answered(route: str, status: int, seconds: float) -> None:
    """Count one HTTP request; `route` is the rule that matched, never the path as asked."""
    _requests.labels(route, f"{status // 100}xx").observe(seconds)


def batch_committed(
    finished: Mapping[tuple[str, str], int],
    *,
    events: int,
    duplicates: int,
    retries: int,
    delays_seconds: Iterable[float],
) -> None:
    """Count one transaction; `finished` says how often each (type, status) occurred in it.

    `delays_seconds` holds, for each applied event, its age since it was received.
    """
    _batch.observe(events)
    for (event_type, status), count in finished.items():
        _finished.labels(event_type, status).inc(count)
    if duplicates:
        _duplicates.inc(duplicates)
    if retries:
        _retries.inc(retries)
    for delay in delays_seconds:
        _delay.observe(delay)


def events_ignored(reason: str, count: int) -> None:
    """Count events that had no effect, for this reason."""
    _ignored.labels(reason).inc(count)


def events_left(count: int) -> None:
    """Count events that this release cannot read and left for a newer one."""
    _left.inc(count)


def stripe_asked(cause: str) -> None:
    """Count a question to Stripe that begins."""
    _asked.labels(cause).inc()


def event_generation_failed() -> None:
    """Count an event that Stripe failed to make."""
    _generation_failures.inc()


def duplicates_met(count: int) -> None:
    """Count deliveries that were the same event as another of their batch."""
    if count:
        _duplicates.inc(count)


def task_sent(task: str) -> None:
    """Count one Celery task that was handed to the broker."""
    _sent.labels(task).inc()


def message_told(outcome: str) -> None:
    """Count one attempt to tell a destination: `told`, `failed` or `given_up`."""
    _told.labels(outcome).inc()


def exposition() -> bytes:
    """Every count of this process, or of all that share its directory, as Prometheus reads it."""
    return generate_latest(_registry())


def serve(host: str, port: int) -> Callable[[], None]:
    """Answer Prometheus on a port of its own, from a thread; returns what ends that.

    Raises `OSError` when the port cannot be had.
    """
    server, thread = start_http_server(port, host, registry=_registry())

    def stop() -> None:
        server.shutdown()
        server.server_close()
        _join(thread)

    return stop


def forget_dead(directory: Path) -> None:
    """Make a directory for several processes' counts, empty: call before the first starts."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob("*.db"):
        left.unlink(missing_ok=True)


def _registry() -> CollectorRegistry:
    if values.ValueClass is values.MutexValue:
        return OWN_PROCESS
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # The client types half.
    return registry


def _join(thread: threading.Thread) -> None:
    thread.join(timeout=1)
