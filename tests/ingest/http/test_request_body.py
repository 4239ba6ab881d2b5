"""Bodies on the event loop: bounded in size, time and number, whoever sends them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ingest.http import request_body
from ingest.http.problems import Problem
from ingest.http.request_body import BodyReader, TooLargeError, TooManyError
from tests.ingest.event_loop import Exchange, Headers, Scope

LIMIT = 1_000_000


def a_scope(**headers: str) -> Scope:
    """A request with these header lines."""
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Scope("POST", "/", Headers(lines))


def read(body: bytes, scope: Scope) -> tuple[bytes, int]:
    """The body as read, and how much the client had to send for it."""
    exchange = Exchange(body)
    return asyncio.run(BodyReader().read(scope, exchange, LIMIT)), exchange.read_bytes


@pytest.mark.parametrize("size", [0, 10, 70_000, LIMIT])
def test_a_body_of_a_told_length_is_read_whole(size: int) -> None:
    """In one piece or in several."""
    assert read(bytes(size), a_scope(content_length=str(size))) == (bytes(size), size)


@pytest.mark.parametrize("size", [0, 10, 350_000, LIMIT])
def test_a_chunked_body_is_read_to_its_end(size: int) -> None:
    """It does not tell its length."""
    assert read(bytes(size), a_scope(transfer_encoding="chunked")) == (bytes(size), size)


def test_a_told_length_over_the_limit_is_refused_unread() -> None:
    """Not a byte of it is asked for."""
    exchange = Exchange(bytes(LIMIT + 1))
    with pytest.raises(TooLargeError):
        asyncio.run(BodyReader().read(a_scope(content_length=str(LIMIT + 1)), exchange, LIMIT))
    assert exchange.read_bytes == 0


def test_a_chunked_body_is_left_where_it_passes_the_limit() -> None:
    """However much would follow."""
    exchange = Exchange(bytes(10 * LIMIT))
    with pytest.raises(TooLargeError):
        asyncio.run(BodyReader().read(a_scope(transfer_encoding="chunked"), exchange, LIMIT))
    assert exchange.read_bytes <= LIMIT + 100_000


class Dawdler(Exchange):
    """Sends a piece now and then, without end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.02)


def test_a_large_body_that_dawdles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold its memory for as long as it likes."""
    monkeypatch.setattr(request_body, "LARGE_SECONDS_MAX", 0.1)
    with pytest.raises(Problem) as refused:
        asyncio.run(BodyReader().read(a_scope(content_length="900000"), Dawdler(b""), LIMIT))
    assert (refused.value.status, refused.value.code) == (408, "too_slow")


def test_large_bodies_together_are_bounded_and_leave_room_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many slow senders of large bodies cannot fill the memory."""
    monkeypatch.setattr(request_body, "LARGE_BYTES_MAX", 250_000)
    scope = a_scope(transfer_encoding="chunked")

    async def three() -> list[object]:
        reader = BodyReader()
        both = (reader.read(scope, Slow(bytes(200_000)), LIMIT) for _ in range(2))
        outcomes: list[object] = list(await asyncio.gather(*both, return_exceptions=True))
        return [*outcomes, await reader.read(scope, Exchange(bytes(200_000)), LIMIT)]

    first, second, later = asyncio.run(three())
    assert [type(first), type(second)].count(TooManyError) == 1
    assert later == bytes(200_000)


class Slow(Exchange):
    """Lets others have a turn after each piece."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in super().__aiter__():
            yield piece
            await asyncio.sleep(0)
