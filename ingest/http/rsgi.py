"""What an RSGI server hands to its application (RSGI 1.6), as far as it is used here.

granian, the server, types these halfway; a test may bring its own.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from granian.rsgi import ProtocolClosed as ProtocolClosed  # type: ignore[attr-defined]  # noqa: PLC0414 - handed on.


class Headers(Protocol):
    """The headers of a request; names are lower-case, values that are no ASCII are left out."""

    def __contains__(self, name: str) -> bool:
        """Whether there is such a header."""

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of the first header of this name."""

    def items(self) -> list[tuple[str, str]]:
        """Every header line."""


class Scope(Protocol):
    """A request without its body; `client` and `server` are `address:port`."""

    @property
    def http_version(self) -> str:
        """As `1.1`."""

    @property
    def server(self) -> str:
        """Where it came in."""

    @property
    def client(self) -> str:
        """Who is at the other end of the connection."""

    @property
    def scheme(self) -> str:
        """As `http`."""

    @property
    def method(self) -> str:
        """In capitals."""

    @property
    def path(self) -> str:
        """With its escapes resolved, as UTF-8."""

    @property
    def query_string(self) -> str:
        """With its escapes."""

    @property
    def authority(self) -> str | None:
        """The host, where the request line names one."""

    @property
    def headers(self) -> Headers:
        """The header lines."""


class Transport(Protocol):
    """Sends an answer piece by piece."""

    async def send_str(self, data: str) -> None:
        """Send a piece; waits while the client takes nothing."""


class HTTPProtocol(Protocol):
    """The other end of a request: its body comes from here, the answer goes here.

    Both raise `ProtocolClosed` when the client has gone away.
    """

    async def __call__(self) -> bytes:
        """The whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body piece by piece."""

    async def client_disconnect(self) -> None:
        """Returns when the client has gone away."""

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Transport:
        """Begin an answer of unknown length."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""


def client_address(scope: Scope) -> str:
    """The address at the other end of the connection, without its port."""
    return scope.client.rpartition(":")[0].strip("[]")
