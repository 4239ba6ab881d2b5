"""What the settings accept as an address; nothing here connects to one."""

import ipaddress
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit


def parses(value: str, accepts: Callable[[SplitResult], bool]) -> bool:
    """Whether this is an absolute URL with a usable port that `accepts` accepts."""
    try:
        url = urlsplit(value)
        # Reading the port is what checks it.
        return (url.port is None or url.port > 0) and "://" in value and accepts(url)
    except ValueError:
        return False


def is_web_url(url: SplitResult) -> bool:
    """Whether a browser can go there."""
    return url.scheme in ("http", "https") and bool(url.hostname)


def is_trusted_url(url: SplitResult) -> bool:
    """Whether nobody on the way can write its answers: by https, or on this machine."""
    return is_web_url(url) and (url.scheme == "https" or _is_loopback(url.hostname or ""))


def is_origin(word: str) -> bool:
    """Whether this is scheme, host and port of a web page, and nothing else."""

    def accepts(url: SplitResult) -> bool:
        return is_web_url(url) and word == f"{url.scheme}://{url.netloc}" and "@" not in url.netloc

    return "\\" not in word and parses(word, accepts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
