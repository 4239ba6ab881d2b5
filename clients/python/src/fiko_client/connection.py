"""What the two clients have in common: how they are set up, and what they remember."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import httpx

from fiko_client.calls import Call, answer_of
from fiko_client.errors import ServiceAway
from fiko_client.spool import Spool

Token = str | Callable[[], str]
Away = Literal["refuse", "spool"]

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
# For so long after a failure a spend that may be spooled is spooled at once.
_OUTAGE_SECONDS = 1.0


@dataclass(slots=True)
class Outage:
    """Whether the service failed a moment ago, so that not every spend need wait to find out."""

    clock: Callable[[], float] = time.monotonic
    _until: float = field(default=float("-inf"))

    def notice(self) -> None:
        """It failed just now."""
        self._until = self.clock() + _OUTAGE_SECONDS

    @property
    def is_on(self) -> bool:
        """Whether to take it that the service is still away."""
        return self.clock() < self._until


def base_url_of(url: str) -> str:
    """The address that paths are appended to."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("base_url begins with https://, or with http:// on this machine")
    return url.rstrip("/")


def bearer(token: Token | None) -> str:
    """The token for one request."""
    if token is None:
        raise ValueError("this client has no token: give it one, or use as_user")
    return token if isinstance(token, str) else token()


def needed(spool: Spool | None) -> Spool:
    """The spool of a client that was asked to use it."""
    if spool is None:
        raise ValueError("give the client a spool to use away='spool' and to settle")
    return spool


def headers_of(call: Call, token: str) -> dict[str, str]:
    """The headers of one try."""
    return {**call.headers, "Authorization": f"Bearer {token}", "Accept": "application/json"}


def unreachable(error: httpx.RequestError) -> ServiceAway:
    """What it means that no answer came; the address may be private, so it is not told."""
    return ServiceAway("unreachable", f"No answer came ({type(error).__name__}).")


def answered(response: httpx.Response) -> Mapping[str, object]:
    """What an answer holds; raises what a refusal says."""
    return answer_of(response.status_code, response.headers, response.content)
