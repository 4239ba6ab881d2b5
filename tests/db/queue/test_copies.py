"""Copies of a packet: what is asked for, and what the answers mean."""

from contextlib import closing

import pytest
import redis

from db.queue.copies import Copies, TooFewCopiesError
from db.queue.redis_connection import packed
from db.queue.stream import EventStream, connect
from tests.db.queue.test_packets import deliveries, server_that_dies_after

WAIT = packed(b"WAIT", b"2", b"200")
WAITAOF = packed(b"WAITAOF", b"1", b"2", b"200")
UNKNOWN = redis.ResponseError("unknown command 'WAITAOF', with args beginning with: '1' ")


def test_no_copies_cost_no_question() -> None:
    """As ever."""
    assert Copies(0).questions() == ()
    assert Copies(0).failure([]) is None


def test_the_disk_is_asked_for_behind_the_copies_and_never_alone() -> None:
    """Alone it is answered a second later."""
    assert Copies(2).questions() == (WAIT, WAITAOF)


@pytest.mark.parametrize(
    ("answers", "is_enough"),
    [
        ([2, [1, 2]], True),
        ([3, [1, 3]], True),
        ([1, [1, 2]], False),
        ([2, [1, 1]], False),
        ([2, [0, 2]], False),
        ([0, [1, 0]], False),
    ],
)
def test_fewer_copies_than_wanted_are_a_failure(
    answers: list[int | list[int]], *, is_enough: bool
) -> None:
    """In memory and on disk, here and there."""
    failure = Copies(2).failure(answers)
    assert failure is None if is_enough else isinstance(failure, TooFewCopiesError)


def test_a_server_that_knows_no_waitaof_is_asked_without_it_from_then_on() -> None:
    """It said so once; WAIT is what it can promise."""
    copies = Copies(2)
    assert copies.failure([2, UNKNOWN]) is None
    assert copies.questions() == (WAIT,)
    assert copies.failure([2]) is None
    assert isinstance(copies.failure([1]), TooFewCopiesError)


@pytest.mark.parametrize("place", [0, 1])
def test_a_question_that_is_refused_is_a_failure(place: int) -> None:
    """A user without the right, a server without a file: nobody knows of any copy."""
    answers: list[object] = [2, [1, 2]]
    answers[place] = refusal = redis.ResponseError("NOPERM")
    assert Copies(2).failure(answers) is refusal


def test_an_answer_that_never_came_is_no_copy() -> None:
    """The primary died after it had confirmed the entries themselves."""
    answers = b"$3\r\n1-0\r\n$3\r\n2-0\r\n+OK\r\n"
    with (
        server_that_dies_after(answers) as address,
        closing(connect(address, timeout_seconds=3.0)) as client,
    ):
        appended = EventStream(client, copies=1).put_each(deliveries(2))
    assert all(isinstance(error, redis.ConnectionError) for error in appended.errors)
    # They may be there all the same, and a worker is woken for them.
    assert appended.must_wake
