"""Where messages may be sent: checked by its words when it is added, by its addresses each time.

A name may point to another address at every look-up, so what counts is the address that is
connected to. It is the one that was checked, whatever the name says a moment later.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import httpx

from domain.errors import BillingError

URL_LENGTH_MAX = 2_000
PORT_MAX = 65_535

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# Where clouds tell a machine its own secrets; nobody hears of changes there.
_METADATA = frozenset(
    map(
        ipaddress.ip_address, ("169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class AddressRefusedError(BillingError):
    """Nothing is sent to this address; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, its host as certificates name it, and the addresses that were checked."""

    url: httpx.URL
    host: str
    addresses: Sequence[str]


def checked_url(text: str, *, allow_private: bool) -> httpx.URL:
    """The URL of a destination; raises `AddressRefusedError` for one that can be none.

    Nothing is looked up.
    """
    if len(text) > URL_LENGTH_MAX or not text.isprintable() or " " in text:
        raise AddressRefusedError(f"a URL has up to {URL_LENGTH_MAX} characters and no spaces")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressRefusedError("this is not a URL") from error
    schemes = ("https", "http") if allow_private else ("https",)
    if url.scheme not in schemes or not url.host:
        raise AddressRefusedError("messages are sent by https:// only")
    if url.port is not None and not 0 < url.port <= PORT_MAX:
        raise AddressRefusedError(f"a port is a number from 1 to {PORT_MAX}")
    if url.userinfo or url.fragment:
        raise AddressRefusedError("the URL of a destination has no user, password or #fragment")
    return url


async def target_of(text: str, resolve: Resolve, *, allow_private: bool) -> Target:
    """Where to connect to for this URL: every address of its host was checked.

    Raises `AddressRefusedError`, and `OSError` where the name is not known.
    """
    url = checked_url(text, allow_private=allow_private)
    host = url.raw_host.decode("ascii").strip("[]")
    port = url.port or (443 if url.scheme == "https" else 80)
    addresses = await resolve(host, port)
    if not addresses:
        raise AddressRefusedError("the name has no address")
    for address in addresses:
        _check(address, is_plain=url.scheme == "http", allow_private=allow_private)
    return Target(url, host, addresses)


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name, each once, in the order in which they are to be tried."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _check(text: str, *, is_plain: bool, allow_private: bool) -> None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError as error:
        raise AddressRefusedError("the name has an address that is none") from error
    for meant in _meanings(address):
        if not _is_allowed(meant, is_plain=is_plain, allow_private=allow_private):
            raise AddressRefusedError(f"{text} is no address that messages may be sent to")


def _meanings(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 addresses that an IPv6 one may lead to."""
    yield address
    if isinstance(address, IPv4Address):
        return
    for embedded in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
        if embedded is not None:
            yield embedded
    if address in _NAT64 or (address in _COMPATIBLE and not address.is_loopback):
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _is_allowed(address: Address, *, is_plain: bool, allow_private: bool) -> bool:
    if address.is_loopback:
        return allow_private
    never = (
        address.is_unspecified
        or address.is_multicast
        or address.is_link_local
        or address in _METADATA
        or (isinstance(address, IPv4Address) and address.is_reserved)
    )
    if never or is_plain:
        return False
    is_site = isinstance(address, IPv6Address) and address.is_site_local
    return allow_private or (address.is_global and not is_site)
