"""Bodies as they are kept: small, readable for good, and as they were to the byte."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from db.bodies import (
    DIRECTORY,
    NEWEST,
    OLDEST,
    UnknownDictionaryError,
    compress,
    decompress,
    write_with,
)
from dev.checks.dictionary import simulated
from domain.events import Delivery, EventStatus
from tests.examples import examples
from workers.pipeline.prepared_event import LEFT_SECONDS_MAX, LEFT_SECONDS_MIN, prepare

# What was ever released is never changed: a line here stays, and so does its file.
RELEASED = {"32768.zdict": "a1729deabd33e8fd10c106394c4f683b6ee43674e682c7a82f4b6609f8eb36ea"}
# Written by the release before the first dictionary.
OLD_BODY = (
    b'{"id": "evt_old", "type": "invoice.paid", "created": 1, "data": {"object": {"id": "in_1"}}}'
)
OLD_FRAME = bytes.fromhex(
    "28b52ffd205b6d020032c40e15a0570764887cb1db08442249ea5f8331bcd4ff0604ad35138374f34290ccae18178f"
    "6f902f9e4845053c352da457c5fa86cf90ccaefb8a8f9a0505004e18d0e542540677f66ceb1403"
)


def of_a_later_release(body: bytes = OLD_BODY) -> bytes:
    """The body as a release with another dictionary keeps it."""
    later = zstandard.train_dictionary(4_096, [*simulated(seed=3)[:300]], dict_id=40_000)
    return zstandard.ZstdCompressor(dict_data=later).compress(body)


def test_released_dictionaries_are_all_there_and_unchanged() -> None:
    """Without its very dictionary a body is lost."""
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DIRECTORY.iterdir()
    }
    assert found == RELEASED


@examples()
@given(st.binary(max_size=5_000))
def test_any_body_comes_back_to_the_byte(body: bytes) -> None:
    """Also one that has nothing in common with an event."""
    assert decompress(compress(body)) == body


def test_a_body_of_an_earlier_release_is_read() -> None:
    """Its frame names no dictionary."""
    assert decompress(OLD_FRAME) == OLD_BODY


def test_events_take_less_than_half_of_what_they_take_without_a_dictionary() -> None:
    """On other simulated events than those it was trained on."""
    others = simulated(seed=4)[:1_000]
    without = zstandard.ZstdCompressor(level=3)
    kept = [(len(compress(body)), len(without.compress(body))) for body in others]
    assert sum(small for small, _ in kept) < 0.5 * sum(large for _, large in kept)


def test_a_frame_tells_its_size_and_its_dictionary() -> None:
    """So that a reader can refuse a bomb before it goes off, and knows what it needs."""
    kept = compress(b"x" * 10_000)
    assert len(kept) < 100
    read = zstandard.get_frame_parameters(kept)
    assert (read.content_size, read.dict_id) == (10_000, 32_768)


def test_threads_do_not_disturb_each_other() -> None:
    """A receiver compresses in many at once."""
    bodies = [body for body in simulated(seed=5)[:400] for _ in range(3)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda body: decompress(compress(body)), bodies)) == bodies


def test_a_body_of_a_later_release_says_what_to_do() -> None:
    """Receivers were deployed before workers; the message is what an operator sees."""
    with pytest.raises(UnknownDictionaryError, match="dictionary 40000 is not in dictionaries"):
        decompress(of_a_later_release(b"{}" * 50))


def test_an_event_of_a_later_release_is_left_for_a_worker_of_that_release() -> None:
    """It is kept as it came, waits, and has not failed."""
    kept = of_a_later_release(OLD_BODY)
    work = prepare(Delivery("evt_old", "invoice.paid", 1, 2, kept))
    assert work.is_left
    assert work.outcome.status is EventStatus.RECEIVED
    assert "a worker of that release reads it" in (work.outcome.error or "")
    assert work.outcome.retry_in_seconds == LEFT_SECONDS_MAX
    assert work.delivery.body == kept


def test_a_young_event_of_a_later_release_is_looked_at_soon() -> None:
    """While releases change, a newer worker is there or comes within seconds."""
    delivery = Delivery("evt_old", "invoice.paid", 1, int(time.time() * 1000), of_a_later_release())
    assert prepare(delivery).outcome.retry_in_seconds == LEFT_SECONDS_MIN


@pytest.fixture
def written_as_ever() -> Iterator[None]:
    """What a test chose is forgotten after it."""
    yield
    write_with(OLDEST)


@pytest.mark.usefixtures("written_as_ever")
@pytest.mark.parametrize(
    ("limit", "expected"),
    [(0, 0), (OLDEST - 1, 0), (OLDEST, OLDEST), (NEWEST, NEWEST), (NEWEST + 1_000, NEWEST)],
)
def test_bodies_are_written_with_the_newest_dictionary_that_is_allowed(
    limit: int, expected: int
) -> None:
    """None below the first, and read again in each case."""
    assert write_with(limit) == expected
    kept = compress(OLD_BODY)
    assert zstandard.get_frame_parameters(kept).dict_id == expected
    assert decompress(kept) == OLD_BODY


def test_every_release_since_the_first_reads_what_is_written_unasked() -> None:
    """A worker of 0.2.0 does not say what it reads."""
    assert zstandard.get_frame_parameters(compress(OLD_BODY)).dict_id == 32_768
    assert OLDEST == 32_768
