"""Where messages may go: by words when a destination is added, by addresses at every attempt."""

import asyncio
from collections.abc import Sequence

import pytest

from workers.hearing.addresses import (
    AddressRefusedError,
    Resolve,
    checked_url,
    look_up,
    target_of,
)

PUBLIC = "93.184.216.34"
NEVER = [
    "0.0.0.0",  # noqa: S104 - refused, not bound.
    "::",
    "169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "224.0.0.1",
    "255.255.255.255",
    "ff02::1",
    "nonsense",
]
PRIVATE = [
    "127.0.0.1",
    "127.8.9.1",
    "::1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "fc00::1",
    "fec0::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "2002:0a00:0001::1",
    "::10.0.0.1",
]


def names(*addresses: str) -> Resolve:
    """A look-up that always finds these."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


def target(url: str, *addresses: str, allow_private: bool = False) -> Sequence[str]:
    """The addresses that a message to this URL would go to."""
    found = asyncio.run(target_of(url, names(*addresses), allow_private=allow_private))
    return found.addresses


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "example.com",
        "https://",
        "https:///path",
        "https://user:secret@example.com/",
        "https://example.com/#part",
        "https://example.com/a b",
        "https://example.com/\nHost: other",
        "https://example.com:99999/",
        "https://[::1/",
        "https://" + "a" * 2_000,
        "",
    ],
)
def test_some_urls_are_no_destinations(url: str) -> None:
    """They are refused before anything is looked up."""
    with pytest.raises(AddressRefusedError):
        checked_url(url, allow_private=False)


@pytest.mark.parametrize("address", [*NEVER, *PRIVATE])
def test_no_private_address_is_reached(address: str) -> None:
    """Nor one that leads to a private address by another way of writing it."""
    with pytest.raises(AddressRefusedError):
        target("https://example.com/", address)
    with pytest.raises(AddressRefusedError):
        target("https://example.com/", PUBLIC, address)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_refused_whatever_the_setting_allows(address: str) -> None:
    """Where clouds keep secrets, and what is no single machine."""
    with pytest.raises(AddressRefusedError):
        target("https://example.com/", address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_the_setting_allows_private_addresses(address: str) -> None:
    """For development, and for services in one's own network."""
    assert target("https://example.com/", address, allow_private=True) == (address,)


def test_plain_http_goes_to_this_machine_only() -> None:
    """And only where the setting allows it."""
    assert target("http://localhost:8080/", "127.0.0.1", allow_private=True) == ("127.0.0.1",)
    for address in ("10.0.0.1", PUBLIC):
        with pytest.raises(AddressRefusedError):
            target("http://example.com/", address, allow_private=True)


def test_a_name_without_an_address_is_refused() -> None:
    """There is nobody to ask."""
    with pytest.raises(AddressRefusedError):
        target("https://example.com/")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_the_system_that_would_connect_is_asked_what_a_name_means(host: str) -> None:
    """So no other way of writing an address gets past."""
    with pytest.raises(AddressRefusedError):
        asyncio.run(target_of(f"https://{host}/", look_up, allow_private=False))


def test_a_public_address_is_taken() -> None:
    """In the order in which it was found."""
    assert target("https://example.com:8443/x?y=1", PUBLIC, "2606:2800:220:1::1") == (
        PUBLIC,
        "2606:2800:220:1::1",
    )
