"""Lets in only what was asked of this machine by this machine's own pages.

A page of another site can make a browser send a form to a loopback address, and a foreign name
can be pointed there; both show in the headers of the request.
"""

from urllib.parse import urlsplit

from flask import Request
from werkzeug.exceptions import Forbidden

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def require_own_page(request: Request) -> None:
    """Raise `Forbidden` unless a form comes from a page of this very address, on loopback."""
    if request.method in _READS:
        return
    if _name(f"//{request.host}") not in _LOOPBACK:
        raise Forbidden(
            "Open this page at 127.0.0.1 or localhost: forms are taken from there only."
        )
    origin = request.headers.get("Origin")
    # A browser sends the origin with every form; a program without one is nobody's victim.
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Forbidden("This form was sent by a page of another address.")


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
