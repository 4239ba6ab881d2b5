"""Holds back who asks too much: every request is counted whose routes are `limited`.

Whoever brings a valid token is counted by user, everyone else by address. So a signed-in user
gets what is promised whoever shares the address, and a flood of bad tokens only shuts itself out.
Each process counts for itself: with N of them a caller may get up to N times the limit.
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

# The contract promises a user 100; a clock's second may hold a few more of a steady 100.
REQUESTS_PER_SECOND = 120
RATE_LIMITED = ProblemType(
    429,
    "rate_limited",
    f"More than {REQUESTS_PER_SECOND} requests within one second; slow down.",
)
# One customer of a provider has that many bits of IPv6 addresses to choose from.
IPV6_NETWORK_BITS = 64


class Seconds:
    """Counts per caller, anew with every second of the clock; threads may share one.

    So what is kept is bounded by what came within one second. (Flask-Limiter was tried: its hooks
    run on webhooks too, and cost them half as much again as all the rest of the receiver.)
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._second = 0
        self._counts: dict[str, int] = {}

    def allows(self, caller: str) -> bool:
        """Count one request; False when it is over the limit of this second."""
        second = int(self._clock())
        with self._lock:
            if second != self._second:
                self._second, self._counts = second, {}
            count = self._counts[caller] = self._counts.get(caller, 0) + 1
        return count <= self._limit


def register(app: Flask, authenticator: Authenticator, groups: Iterable["Routes"]) -> None:
    """Count every request to `app`; over the limit it is answered 429 before anything is done.

    Of these groups of views, those that are not `limited` are left out.
    """
    seconds = Seconds(REQUESTS_PER_SECOND)
    unlimited = {group.blueprint.name for group in groups if not group.limited}

    def hold_back() -> None:
        if request.blueprint in unlimited:
            return
        caller = recognised(authenticator)
        asker = f"user {caller.user_id}" if caller else f"address {network(request.remote_addr)}"
        if not seconds.allows(asker):
            # The counts begin anew with every second.
            raise RATE_LIMITED.problem(headers={"Retry-After": "1"})

    app.before_request(hold_back)


def network(address: str | None) -> str:
    """Whom an address belongs to, as far as it tells: an IPv4 address or an IPv6 network."""
    try:
        ip_address = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(ip_address, ipaddress.IPv4Address):
        return str(ip_address)
    if ip_address.ipv4_mapped:
        return str(ip_address.ipv4_mapped)
    return str(ipaddress.ip_network((ip_address.packed, IPV6_NETWORK_BITS), strict=False))
