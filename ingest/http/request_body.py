"""Reads a request's body on the event loop: no more than is allowed, no longer than is decent.

Small bodies of a told length come in one piece from the server. Others are read piece by piece,
within a time, and within what this process may hold of such bodies altogether.
"""

import asyncio

from ingest.http.problems import ProblemType
from ingest.http.rsgi import HTTPProtocol, Scope

# Stripe's events are some 3 kB; what tells to be at most this is not counted.
SMALL_BYTES_MAX = 64 * 1024
LARGE_SECONDS_MAX = 15.0
LARGE_BYTES_MAX = 64 * 1024 * 1024

TOO_SLOW = ProblemType(408, "too_slow", "The body did not come in time.")


class TooLargeError(Exception):
    """The body is over its limit; its rest is not read."""


class TooManyError(Exception):
    """So many large bodies are on their way that this process holds no more."""


class BodyReader:
    """Reads the bodies of one event loop, and bounds what it holds of them."""

    def __init__(self) -> None:
        self._held_bytes = 0

    async def read(self, scope: Scope, proto: HTTPProtocol, bytes_max: int) -> bytes:
        """The body, when it is at most `bytes_max` long.

        Raises `TooLargeError` (unread, where the length is told), `TooManyError`, a 408 `Problem`
        for a large body that does not come in its time, and `ProtocolClosed` when the client goes
        away.
        """
        length = _told_length(scope)
        if length is not None and length > bytes_max:
            raise TooLargeError
        if length is not None and length <= SMALL_BYTES_MAX:
            return await proto()
        try:
            async with asyncio.timeout(LARGE_SECONDS_MAX):
                return await self._read_pieces(proto, bytes_max)
        except TimeoutError as error:
            raise TOO_SLOW.problem() from error

    async def _read_pieces(self, proto: HTTPProtocol, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in proto:
                pieces.append(piece)
                size += len(piece)
                self._held_bytes += len(piece)
                if size > bytes_max:
                    raise TooLargeError
                if self._held_bytes > LARGE_BYTES_MAX:
                    raise TooManyError
            return b"".join(pieces)
        finally:
            self._held_bytes -= size


def _told_length(scope: Scope) -> int | None:
    """What Content-Length says; 0 where there is no body, None where only its end will tell."""
    told = scope.headers.get("content-length")
    if told is None:
        return None if "transfer-encoding" in scope.headers else 0
    # The server has refused what is no number.
    return int(told) if told.isascii() and told.isdigit() else None
