"""What is said of a batch: one line in the log, and counts that add up."""

import json
import logging
import time
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import REGISTRY

import telemetry
from domain.events import EventStatus
from domain.working_set import Derived
from tests.pipeline import a_delivery
from tests.stripe_objects import a_session, an_event
from workers.pipeline.apply import Applied
from workers.pipeline.prepared_event import PreparedEvent, prepare
from workers.pipeline.report import EVENT_IDS_LOGGED_MAX, committed

SALE = "checkout.session.completed"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undoes what a test does to the logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def a_work(event_type: str = SALE, *, age_seconds: float = 0.0, attempts: int = 0) -> PreparedEvent:
    """An event, prepared, that was received some time ago."""
    delivery = a_delivery(an_event(event_type, a_session()))
    received_ms = int((time.time() - age_seconds) * 1000)
    return prepare(delivery._replace(received_ms=received_ms), attempts=attempts)


def a_batch(*works: PreparedEvent, duplicates: int = 0) -> Applied:
    """A committed batch; its last works were in the inbox already."""
    known = works[: len(works) - duplicates]
    return Applied(works, {work.delivery.event_id for work in known}, Derived())


def ended(work: PreparedEvent, status: str) -> PreparedEvent:
    """The same event with another end."""
    return work._replace(outcome=work.outcome._replace(status=EventStatus(status)))


def value(name: str, **labels: str) -> float:
    """What a series stands at."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def finished(event_type: str, status: str) -> float:
    """How many tries of a type ended so."""
    return value("billing_events_finished_total", type=event_type, status=status)


def test_a_batch_is_counted_by_type_and_outcome() -> None:
    """Applied, ignored, failed and dead; duplicates and retries beside them."""
    bad, worst = a_work(), a_work(attempts=5)
    ends = [(SALE, "applied"), ("ping", "ignored"), (SALE, "failed"), (SALE, "dead")]
    others = ("billing_event_duplicates_total", "billing_event_retries_total")
    before = [finished(*end) for end in ends] + [value(name) for name in others]
    works = [a_work(), a_work("ping"), ended(bad, "failed"), ended(worst, "dead"), a_work()]
    committed(a_batch(*works, duplicates=1))
    after = [finished(*end) for end in ends] + [value(name) for name in others]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1] * 6


def test_the_delay_is_that_of_each_applied_event() -> None:
    """From being received to being committed, in seconds; what failed has none yet."""
    total, count = (
        "billing_receive_to_applied_seconds_sum",
        "billing_receive_to_applied_seconds_count",
    )
    before = value(total), value(count)
    committed(a_batch(a_work(age_seconds=20), ended(a_work(age_seconds=500), "failed")))
    assert 20 <= value(total) - before[0] < 60
    assert value(count) - before[1] == 1


def test_an_empty_batch_is_none() -> None:
    """A look at an empty queue is nothing to tell."""
    before = value("billing_batch_events_count")
    committed(a_batch())
    assert value("billing_batch_events_count") == before


def test_a_batch_is_one_line_with_its_event_ids(capsys: pytest.CaptureFixture[str]) -> None:
    """What ties it to the requests; no payload and no user, and never a line without end."""
    telemetry.configure("json", "worker")
    works = [a_work() for _ in range(EVENT_IDS_LOGGED_MAX + 5)]
    committed(a_batch(*works, duplicates=2))
    [line] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["process"]) == ("batch committed", "worker")
    assert (line["events"], line["applied"], line["duplicates"]) == (55, 53, 2)
    assert line["request_ids"] == []
    assert line["event_ids"] == [each.delivery.event_id for each in works[:EVENT_IDS_LOGGED_MAX]]
    assert "user_1" not in json.dumps(line)


def test_the_line_of_a_batch_names_the_requests_that_brought_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same ids as in the receiver's log, so one search finds both ends."""
    telemetry.configure("json", "worker")
    known, unknown = a_work(), a_work()
    known = known._replace(delivery=known.delivery._replace(request_id="req-7"))
    committed(a_batch(known, unknown))
    [line] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert line["request_ids"] == ["req-7"]
    assert len(line["event_ids"]) == 2
