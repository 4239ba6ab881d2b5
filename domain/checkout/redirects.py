"""Where buyers may be sent: a pure check of the addresses that Stripe's pages lead back to.

An address is compared as it is written; nothing is decoded, repaired or resolved, because a
browser might repair it otherwise. What is in doubt is refused.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from domain.errors import BillingError

URL_LENGTH_MAX = 2048
SESSION_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PORT_MAX = 65_535
# Printable ASCII without the space; a backslash is a slash to browsers.
_PLAIN = re.compile(r"[!-\[\]-~]+")
_PARTS = re.compile(r"(https?)://([^/?#]*)(?:[/?#].*)?", re.IGNORECASE)
# No user, no percent sign, and of IPv6 only what stands in brackets.
_AUTHORITY = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
# An address whose query was made by a library carries the placeholder in a form that Stripe
# does not replace.
_ENCODED_PLACEHOLDER = re.compile("%7BCHECKOUT_SESSION_ID%7D", re.IGNORECASE)


class RedirectRefusedError(BillingError):
    """Nobody may be sent to this address; the message says why and what to do."""


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Scheme, host and port, in lower case, with the port that the scheme implies filled in."""

    scheme: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine itself."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class RedirectRules:
    """The origins that buyers may be sent to; plain http only to this machine, if at all."""

    origins: frozenset[Origin]
    allows_http_to_loopback: bool

    @classmethod
    def of(cls, urls: Iterable[str], *, allows_http_to_loopback: bool) -> "RedirectRules":
        """The rules that allow the origins of these addresses; unset ones are left out."""
        origins = (_origin(url) for url in urls if url)
        return cls(frozenset(origin for origin in origins if origin), allows_http_to_loopback)

    def check(self, url: str) -> str:
        """The address itself; raises `RedirectRefusedError` when nobody may be sent there."""
        if len(url) > URL_LENGTH_MAX:
            raise RedirectRefusedError(f"Must not be longer than {URL_LENGTH_MAX} characters.")
        if not _PLAIN.fullmatch(url):
            raise RedirectRefusedError(
                "Must hold only plain characters: percent-encode spaces, backslashes and whatever"
                " is not ASCII."
            )
        origin = _origin(url)
        if origin is None:
            raise RedirectRefusedError(
                "Must be an absolute address such as https://app.example.com/billing, with a host"
                " and without a user name."
            )
        if origin not in self.origins:
            raise RedirectRefusedError(
                "Its origin is not allowed; the operator may add it to ALLOWED_REDIRECT_ORIGINS."
            )
        if origin.scheme != "https" and not (self.allows_http_to_loopback and origin.is_loopback):
            raise RedirectRefusedError("Must begin with https://.")
        return url


def with_session_placeholder(url: str) -> str:
    """An address that tells its page which session was paid.

    Stripe puts the session's id in place of the literal braces, so these are never encoded.
    """
    url = _ENCODED_PLACEHOLDER.sub(SESSION_PLACEHOLDER, url)
    if SESSION_PLACEHOLDER in url:
        return url
    address, hash_sign, fragment = url.partition("#")
    separator = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{separator}session_id={SESSION_PLACEHOLDER}{hash_sign}{fragment}"


def _origin(url: str) -> Origin | None:
    parts = _PARTS.fullmatch(url)
    authority = _AUTHORITY.fullmatch(parts[2]) if parts else None
    if parts is None or authority is None:
        return None
    scheme = parts[1].lower()
    port = int(authority[2]) if authority[2] else _DEFAULT_PORTS[scheme]
    if not 0 < port <= _PORT_MAX:
        return None
    return Origin(scheme, authority[1].lower(), port)
