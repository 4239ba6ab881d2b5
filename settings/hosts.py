"""Reads a database URL that names several hosts, as libpq writes it."""

from urllib.parse import parse_qsl, quote, urlsplit

# With several hosts a connection is wanted to the one that takes writes, whoever that is now.
_PRIMARY = ("target_session_attrs", "read-write")


def with_hosts_in_query(url: str) -> str:
    """The same URL with its list of hosts in the query: libpq and SQLAlchemy both read that form.

    `postgresql://u:p@h1:5432,h2/db` becomes `postgresql://u:p@/db?host=h1,h2&port=5432,5432`, and
    asks for the host that takes writes where it does not say. A URL that names at most one host is
    returned as it is. Raises ValueError where the URL cannot be read.
    """
    scheme, _, rest = url.partition("://")
    address, _, query = rest.partition("?")
    authority, slash, database = address.partition("/")
    user, at, place = authority.rpartition("@")
    options = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    listed = place if "," in place else _named_in(options)
    if "," not in listed:
        return url
    if "port" not in dict(options):
        pairs = [_host_and_port(word) for word in listed.split(",")]
        listed, ports = (",".join(words) for words in zip(*pairs, strict=True))
        options.insert(0, ("port", ports))
    options = [("host", listed), *(option for option in options if option[0] != "host")]
    if _PRIMARY[0] not in dict(options):
        options.append(_PRIMARY)
    query = "&".join(f"{name}={quote(value, safe=',:/')}" for name, value in options)
    return f"{scheme}://{user}{at}{slash}{database}?{query}"


def _named_in(options: list[tuple[str, str]]) -> str:
    """The hosts of the query: separated by commas, or each with a `host=` of its own."""
    return ",".join(value for name, value in options if name == "host")


def _host_and_port(word: str) -> tuple[str, str]:
    """A host of the list and its port."""
    parts = urlsplit(f"//{word}")
    # Reading the port is what checks it.
    port = 5432 if parts.port is None else parts.port
    if not parts.hostname or not port or "@" in word:
        raise ValueError("a host of the list has no name, or a port that is none")
    return parts.hostname, str(port)
