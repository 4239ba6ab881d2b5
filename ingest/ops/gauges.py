"""The gauges of both queues, from the state that the stores report."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from prometheus_client.core import GaugeMetricFamily, Metric

from db.outbox.destinations import States
from db.questions.notices import Waiting as NoticesWaiting
from db.questions.questions import Waiting
from db.queue.backlog import InboxBacklog, StreamBacklog


@dataclass(frozen=True, slots=True)
class StoreState:
    """What the stores report; None for whatever a store that does not answer would report."""

    stream: StreamBacklog | None = None
    inbox: InboxBacklog | None = None
    loose_ends: Mapping[str, int] | None = None
    questions: Waiting | None = None
    last_sweep_at: int | None = None
    destinations: States | None = None
    notices: NoticesWaiting | None = None


def of_state(state: StoreState) -> Iterator[Metric]:
    """Every gauge that this state has a value for."""
    yield _up(state.stream, state.inbox)
    if state.loose_ends is not None:
        yield _loose(state.loose_ends)
    yield from _waiting(state.stream, state.inbox)
    yield from _questions(state.questions)
    yield from _notices(state.notices)
    if state.destinations is not None:
        yield _gauge(
            "billing_destinations",
            "Destinations of outgoing webhooks, by how they stand: well, failing, paused.",
            "state",
            asdict(state.destinations),
        )
    yield from _times(state.stream, state.inbox, state.last_sweep_at)


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


def _questions(questions: Waiting | None) -> Iterator[Metric]:
    if questions:
        yield _gauge(
            "billing_questions",
            "What is to be asked of Stripe: waiting for an answer, or given up and left to a"
            " person.",
            "state",
            {"waiting": questions.waiting, "given_up": questions.given_up},
        )
        yield GaugeMetricFamily(
            "billing_oldest_question_age_seconds",
            "Age of the oldest question that Stripe has not answered at all; 0 when there is none.",
            value=questions.oldest_seconds or 0.0,
        )


def _notices(notices: NoticesWaiting | None) -> Iterator[Metric]:
    if notices:
        yield GaugeMetricFamily(
            "billing_notices_waiting",
            "Thin events that wait for Stripe to tell what they speak of.",
            value=notices.notices,
        )
        yield GaugeMetricFamily(
            "billing_oldest_notice_age_seconds",
            "Age of the thin event that has waited longest; 0 when none waits.",
            value=notices.oldest_seconds or 0.0,
        )


def _times(
    stream: StreamBacklog | None, inbox: InboxBacklog | None, last_sweep_at: int | None
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
        (last_sweep_at,),
    )


def _time(name: str, documentation: str, times: Iterable[float | None]) -> Iterator[Metric]:
    """The latest of these times; no gauge where all are None."""
    latest = max((moment for moment in times if moment is not None), default=None)
    if latest is not None:
        yield GaugeMetricFamily(name, documentation, value=latest)


def _age(name: str, documentation: str, times: Iterable[float | None]) -> Metric:
    """How long ago the earliest of these times was."""
    now = time.time()
    oldest = min((moment for moment in times if moment is not None), default=now)
    return GaugeMetricFamily(name, documentation, value=max(0.0, now - oldest))


def _gauge(name: str, documentation: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
