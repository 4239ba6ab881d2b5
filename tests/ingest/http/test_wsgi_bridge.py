"""What the event loop gives to Flask: the request as WSGI has it, in a bounded pool of threads."""

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ingest.http import wsgi_bridge
from ingest.http.request_body import BodyReader
from ingest.http.wsgi_bridge import WsgiBridge
from tests.ingest.event_loop import Exchange, Headers, Scope

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LIMIT = 100
PATH = "/caf\N{LATIN SMALL LETTER E WITH ACUTE}/"


def answers(
    app: "WSGIApplication", *requests: tuple[Scope, Exchange], threads: int = 2
) -> list[tuple[int, list[tuple[str, str]], bytes]]:
    """What the application answers to requests that come at the same time."""

    async def on_the_loop() -> None:
        bridge = WsgiBridge(app, BodyReader(), threads=threads, body_bytes_max=LIMIT)
        try:
            await asyncio.gather(*(bridge.answer(scope, exchange) for scope, exchange in requests))
        finally:
            bridge.close()

    asyncio.run(on_the_loop())
    return [answer for _, exchange in requests for answer in exchange.answers]


def mirror(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    """A WSGI application that answers what it was asked."""
    body = environ["wsgi.input"].read()
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("201 Created", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1")])
    return [json.dumps(seen | {"body": body.decode("latin-1")}).encode(), b"\n"]


def test_a_request_is_told_as_wsgi_has_it() -> None:
    """Path, query, addresses, repeated headers, body and its length."""
    lines = [
        ("host", "shop.example:8080"),
        ("content-type", "application/json"),
        ("content-length", "2"),
        ("x-one", "a"),
        ("x-one", "b"),
    ]
    scope = Scope("PUT", PATH, Headers(lines), "q=%20", client="[::1]:9")
    [(status, headers, body)] = answers(mirror, (scope, Exchange(b"{}")))
    seen = json.loads(body)
    assert status == 201
    assert headers == [("content-type", "text/plain"), ("set-cookie", "a=1")]
    assert (seen["REQUEST_METHOD"], seen["QUERY_STRING"]) == ("PUT", "q=%20")
    assert seen["PATH_INFO"].encode("latin-1").decode() == PATH
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("application/json", "2")
    assert (seen["HTTP_HOST"], seen["HTTP_X_ONE"]) == ("shop.example:8080", "a,b")
    assert (seen["REMOTE_ADDR"], seen["SERVER_PORT"], seen["body"]) == ("::1", "8000", "{}")
    assert "HTTP_CONTENT_LENGTH" not in seen


def test_a_body_over_the_limit_reaches_the_application_as_too_long() -> None:
    """It says so in its own words; the body itself is not held."""
    lengths: list[int] = []

    def measure(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        lengths.append(len(environ["wsgi.input"].read()))
        start_response("413 Content Too Large", [])
        return []

    told = Scope("POST", "/", Headers([("content-length", "5000")]))
    chunked = Scope("POST", "/", Headers([("transfer-encoding", "chunked")]))
    answers(measure, (told, Exchange(bytes(5000))), (chunked, Exchange(bytes(5000))))
    assert lengths == [LIMIT + 1, LIMIT + 1]


def test_no_more_threads_than_allowed_and_no_more_requests_than_may_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rest is told to come back, and is not held."""
    monkeypatch.setattr(wsgi_bridge, "WAITING_MAX", 2)
    pair, lock, at_once = threading.Barrier(2), threading.Lock(), [0, 0]

    def slow(_: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        pair.wait(5)
        with lock:
            at_once[0] -= 1
        start_response("200 OK", [])
        return []

    scope = Scope("GET", "/", Headers([]))
    given = answers(slow, *((scope, Exchange(b"")) for _ in range(8)))
    assert sorted(status for status, _, _ in given) == [200] * 4 + [503] * 4
    assert at_once[1] == 2


def test_what_the_application_raises_is_the_servers_to_tell() -> None:
    """It is logged there without the values in it, and answered 500."""

    def broken(_: "WSGIEnvironment", __: "StartResponse") -> list[bytes]:
        raise ZeroDivisionError

    exchange = Exchange(b"")
    with pytest.raises(ZeroDivisionError):
        answers(broken, (Scope("GET", "/", Headers([])), exchange))
    assert exchange.answers == []


class Closes:
    """What an application answers with, and wants to hear the end of."""

    closed = False

    def __iter__(self) -> Any:
        return iter([b"a", b"b"])

    def close(self) -> None:
        """WSGI's word for it."""
        self.closed = True


def test_what_the_application_answers_with_is_closed() -> None:
    """As WSGI demands."""
    pieces = Closes()

    def app(_: "WSGIEnvironment", start_response: "StartResponse") -> Closes:
        start_response("200 OK", [])
        return pieces

    [(_, _, body)] = answers(app, (Scope("GET", "/", Headers([])), Exchange(b"")))
    assert body == b"ab"
    assert pieces.closed
