"""Limits how many requests a caller may make in a second, on every route that is `limited`.

A caller with a valid token is counted by user, every other caller by address. So a signed-in user
gets the promised rate whoever shares the address, and a flood of bad tokens shuts out only itself.
Each process counts for itself: with N processes a caller may get up to N times the limit.
"""

import ipaddress
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import Flask, request

from ingest.http.auth import Authenticator, recognised
from ingest.http.problems import ProblemType

if TYPE_CHECKING:
    from ingest.http.routes import Routes

# The contract promises 100. A steady 100 may put a few more into one second of the clock.
REQUESTS_PER_SECOND = 120
RATE_LIMITED = ProblemType(
    429,
    "rate_limited",
    f"More than {REQUESTS_PER_SECOND} requests within one second; slow down.",
)
# A provider gives each customer an IPv6 network of this prefix length.
IPV6_NETWORK_BITS = 64


class FixedWindow:
    """Counts requests by caller and starts again with each second; threads may share one.

    So it keeps no more than the callers of one second. (Flask-Limiter was tried: its hooks run on
    webhooks too, and add half of what the rest of the receiver costs.)
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._second = 0
        self._counts: dict[str, int] = {}

    @property
    def callers(self) -> int:
        """How many callers were counted in this second."""
        return len(self._counts)

    def allows(self, caller: str) -> bool:
        """Count one request; False when the caller is over the limit of this second."""
        second = int(self._clock())
        with self._lock:
            if second != self._second:
                self._second, self._counts = second, {}
            count = self._counts[caller] = self._counts.get(caller, 0) + 1
        return count <= self._limit


def register(app: Flask, authenticator: Authenticator, groups: Iterable["Routes"]) -> None:
    """Count every request to `app`; answer 429 over the limit, before anything else is done.

    Requests to a group of views that is not `limited` are not counted.
    """
    window = FixedWindow(REQUESTS_PER_SECOND)
    unlimited = {group.blueprint.name for group in groups if not group.limited}

    def limit_rate() -> None:
        if request.blueprint in unlimited:
            return
        caller = recognised(authenticator)
        key = f"user {caller.user_id}" if caller else f"address {network(request.remote_addr)}"
        require(window, key)

    app.before_request(limit_rate)


def require(window: FixedWindow, caller: str) -> None:
    """Count one request; raise a 429 where the caller is over the limit of this second."""
    if not window.allows(caller):
        # The window starts again with the next second.
        raise RATE_LIMITED.problem(headers={"Retry-After": "1"})


def network(address: str | None) -> str:
    """The IPv4 address or IPv6 network that an address is counted as."""
    try:
        ip_address = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(ip_address, ipaddress.IPv4Address):
        return str(ip_address)
    if ip_address.ipv4_mapped:
        return str(ip_address.ipv4_mapped)
    return str(ipaddress.ip_network((ip_address.packed, IPV6_NETWORK_BITS), strict=False))
