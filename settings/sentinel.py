"""A Redis that Sentinels watch over, as a URL names it; nothing here connects to one.

`redis+sentinel://[user:password@]host1:port1,host2,host3/name/db`: whom to ask, and for which
primary. User and password are those of the primary and its replicas; Sentinels that want some of
their own have them in `?sentinel_username=…&sentinel_password=…`.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

SCHEME = "redis+sentinel"
PORT = 26_379
_PORT_MAX = 65_535
_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Whom to ask for the primary called `name`, and how to log in to it and to them."""

    hosts: tuple[tuple[str, int], ...]
    name: str
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def is_sentinel(url: str) -> bool:
    """Whether this URL names Sentinels."""
    return url.startswith(f"{SCHEME}://")


def parse(url: str) -> Sentinels:
    """What such a URL says. Raises ValueError, which says what is wrong and quotes nothing."""
    # Read by hand: Python knows no lists of hosts, and its errors quote what it was given.
    rest, _, query = url.partition("://")[2].partition("?")
    place, _, path = rest.partition("/")
    login, _, addresses = place.rpartition("@")
    username, _, password = login.partition(":")
    name, _, database = path.partition("/")
    if not name or "/" in database:
        raise ValueError("it must end with the primary's name and a database, as in /mymaster/0")
    if not (database or "0").isascii() or not (database or "0").isdigit():
        raise ValueError("the database behind the primary's name must be a number")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= _OPTIONS:
        raise ValueError(f"behind the question mark there may be {' and '.join(sorted(_OPTIONS))}")
    return Sentinels(
        hosts=tuple(_address(word) for word in addresses.split(",")),
        name=unquote(name),
        database=int(database or "0"),
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_username=options.get("sentinel_username") or None,
        sentinel_password=options.get("sentinel_password") or None,
    )


def _address(word: str) -> tuple[str, int]:
    host, _, port = word.strip().rpartition(":") if _has_port(word) else (word.strip(), "", "")
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise ValueError("a Sentinel's host is missing (they are separated by single commas)")
    number = port or str(PORT)
    if not (number.isascii() and number.isdigit() and 0 < int(number) <= _PORT_MAX):
        raise ValueError(f"a Sentinel's port must be a number from 1 to {_PORT_MAX}")
    return host, int(number)


def _has_port(word: str) -> bool:
    """Whether the last colon is before a port, and not within an address of IPv6."""
    return ":" in word.rpartition("]")[2]
