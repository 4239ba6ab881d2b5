"""The events everything is measured with: the same in every run, realistic, and signed for real."""

import time

import orjson
import pytest

from bench import corpus
from bench.hot import CUSTOMERS, heated
from domain.decode import DECODERS
from ingest.webhook.receiver import verify

COUNT = 300


def test_the_same_run_gives_the_same_bytes_and_another_run_other_ids() -> None:
    """Figures of two days can be compared, and two rounds never meet in a table."""
    first, again, other = (corpus.events(COUNT, run) for run in ("a", "a", "b"))
    assert [event.body for event in first] == [event.body for event in again]
    assert not {event.id for event in first} & {event.id for event in other}


def test_events_are_of_handled_types_and_weigh_five_kilobytes() -> None:
    """Ignored types would be applied faster; small bodies would be stored faster."""
    chosen = corpus.events(3_000, "a")
    assert {event.type for event in chosen} <= DECODERS.keys()
    assert corpus.mean_bytes(chosen) == pytest.approx(5_000, rel=0.05)
    assert len({event.customer_id for event in chosen[1_000:1_500]}) > 50


def test_events_to_ignore_are_of_other_types_and_weigh_as_much() -> None:
    """A receiver has as much to do with them, a worker only to say that it ignores them."""
    useless = corpus.ignored(COUNT, "a")
    assert len(useless) == COUNT
    assert not {event.type for event in useless} & DECODERS.keys()
    assert 3_000 < corpus.mean_bytes(useless) < 7_000


def test_types_that_one_side_has_no_use_for_are_left_out() -> None:
    """Both sides of a comparison get the same events."""
    chosen = corpus.events(COUNT, "a")
    left = corpus.without(chosen, frozenset({"invoice.paid"}))
    assert {event.type for event in left} == {event.type for event in chosen} - {"invoice.paid"}
    assert corpus.without(chosen, frozenset()) == chosen


def test_requests_carry_a_signature_that_the_receiver_accepts() -> None:
    """What is measured is the checking of real signatures."""
    (event,) = corpus.events(1, "a")
    (request,) = corpus.requests([event], "whsec_x")
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert int(headers["Content-Length"]) == len(body)
    verify(body, headers["Stripe-Signature"], ["whsec_x"], time.time())


def test_a_long_run_comes_in_chunks_of_different_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million events need not fit in memory."""
    monkeypatch.setattr(corpus, "CHUNK", 100)
    chunks = list(corpus.chunks(250, "a"))
    assert [len(chunk) for chunk in chunks] == [100, 100, 50]
    assert len({event.id for chunk in chunks for event in chunk}) == 250


def test_hot_events_are_the_same_ones_of_a_few_customers() -> None:
    """Nothing of the customers they came from is left in a body."""
    chosen = corpus.events(COUNT, "a")
    moved = heated(chosen)
    assert [event.id for event in moved] == [event.id for event in chosen]
    assert len({event.customer_id for event in moved}) == CUSTOMERS
    for before, after in zip(chosen, moved, strict=True):
        orjson.loads(after.body)
        assert before.customer_id == after.customer_id or (
            before.customer_id.encode() not in after.body
        )
