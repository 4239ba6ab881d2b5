"""One keep-alive connection to the receiver. Counts nothing, retries nothing but a stale line."""

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0
# What a connection can fail with, besides answering badly.
BROKEN = (OSError, http.client.HTTPException)


class Wire:
    """A connection to one base URL, opened when first used; not for several threads at once."""

    def __init__(self, base_url: str) -> None:
        self._parts = urlsplit(base_url.rstrip("/"))
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return the status and body of an answer; raises one of BROKEN when none comes."""
        stale = self._connection is not None
        try:
            return self._once(method, path, headers, body)
        except BROKEN:
            self.close()
            if not stale:
                raise
        # A server may close an idle connection at any time; a fresh one decides.
        try:
            return self._once(method, path, headers, body)
        except BROKEN:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        if self._connection is None:
            kind = (
                http.client.HTTPSConnection
                if self._parts.scheme == "https"
                else http.client.HTTPConnection
            )
            self._connection = kind(self._parts.netloc, timeout=TIMEOUT_SECONDS)
        self._connection.request(method, self._parts.path + path, body, dict(headers))
        response = self._connection.getresponse()
        answer = response.read()
        if response.will_close:
            self.close()
        return response.status, answer
