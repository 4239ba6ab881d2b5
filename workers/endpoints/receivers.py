"""Whether the receivers know a webhook secret, learnt from the receivers themselves.

A body that is signed well and is no event is refused for what it is, one that is signed with a
secret that nobody knows is refused for its signature. So nothing is stored, and nothing changes.
"""

import hashlib
import hmac
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException

import orjson

# So often, each on a connection of its own: behind a balancer several receivers answer.
TRIES = 5
TIMEOUT_SECONDS = 5.0
_BODY = b'{"object": "probe", "why": "does the receiver know this secret?"}'
_KNOWN, _UNKNOWN = "not_an_event", "signature_invalid"


class Verdict(StrEnum):
    """What the receivers know."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking; `says` tells why where it is unclear."""

    verdict: Verdict
    says: str = ""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Go nowhere else: Stripe would not either."""


_opener = urllib.request.build_opener(_NoRedirects)


def know(url: str, secret: str) -> Asked:
    """Whether every receiver that answers at a URL knows a secret."""
    for _ in range(TRIES):
        asked = _ask(url, secret)
        if asked.verdict is not Verdict.KNOWN:
            return asked
    return Asked(Verdict.KNOWN)


def _ask(url: str, secret: str) -> Asked:
    headers = {
        "Content-Type": "application/json",
        "Stripe-Signature": _signature(secret, int(time.time())),
        "Connection": "close",
    }
    request = urllib.request.Request(url, _BODY, headers, method="POST")  # noqa: S310 - the operator's own URL.
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return Asked(Verdict.UNCLEAR, f"{url} answered {answer.status}; is it a receiver?")
    except urllib.error.HTTPError as refused:
        with refused:
            return _read(url, refused.code, refused.read(65_536))
    except (OSError, HTTPException, ValueError) as error:
        return Asked(Verdict.UNCLEAR, f"{url} cannot be reached from here: {type(error).__name__}")


def _read(url: str, status: int, body: bytes) -> Asked:
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        problem = None
    code = problem.get("code") if isinstance(problem, dict) else None
    if code == _KNOWN:
        return Asked(Verdict.KNOWN)
    if code == _UNKNOWN:
        return Asked(Verdict.UNKNOWN)
    return Asked(Verdict.UNCLEAR, f"{url} answered {status}{f' {code}' if code else ''}")


def _signature(secret: str, now: int) -> str:
    signed = hmac.new(secret.encode(), f"{now}.".encode() + _BODY, hashlib.sha256).hexdigest()
    return f"t={now},v1={signed}"
