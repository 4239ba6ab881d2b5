"""`GET /billing/stream/`: a user's changes as Server-Sent Events, one coroutine a stream.

An idle stream costs no thread. Whoever breaks off resumes with `Last-Event-ID` and misses nothing;
a stream ends with its token. A browser's EventSource cannot send that header to a new address: it
says `?last_event_id=` there.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import parse_qs

import redis

import telemetry
from db.outbox.hints import CHANNEL
from ingest.context import ReceiverContext
from ingest.http.auth import NOT_AUTHENTICATED, Caller
from ingest.http.exchange import Exchange
from ingest.http.problems import Problem
from ingest.http.rate_limit import REQUESTS_PER_SECOND, FixedWindow, network, require
from ingest.http.rsgi import HTTPProtocol, ProtocolClosed, Scope, client_address
from ingest.stream.change_watch import ChangeWatch
from ingest.stream.hub import Hub, ReadNews, Subscription, TooManyStreamsError
from ingest.stream.outbox_reader import OutboxReader
from ingest.stream.tickets import Tickets
from ingest.stream.views import NOT_NOW, PATH, TOO_MANY_STREAMS

PATHS = frozenset({PATH, PATH.rstrip("/")})
# A proxy takes a connection on which nothing comes for dead.
COMMENT_SECONDS = 15.0
# Tokens and tickets that are looked at at the same time.
THREADS = 4
_STILL_HERE = ": still here\n\n"
# What a browser waits before it comes back.
_RETRY = "retry: 2000\n\n"
# PostgreSQL's bigint.
_VERSION_MAX = 2**63 - 1
_HEADERS = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store"),
    # nginx would collect what it passes on.
    ("x-accel-buffering", "no"),
)
_log = telemetry.get_logger("ingest.stream.stream_entry")


class StreamEntry:
    """Answers requests for a stream, on one event loop."""

    def __init__(self, context: ReceiverContext, read: ReadNews | None = None) -> None:
        """`read` replaces the outbox of the context's database."""
        self._context = context
        self._proxies = context.settings.trusted_proxies
        self._hub = Hub(read or OutboxReader(context.engine).read)
        self._watch = ChangeWatch(context.redis, CHANNEL, self._hub)
        self._tickets = Tickets(context.redis)
        self._window = FixedWindow(REQUESTS_PER_SECOND)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="stream-caller")

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read for streams."""
        self._hub.start(loop)
        self._watch.start(loop)

    def stop(self) -> None:
        """End every stream; its client comes back, to another process perhaps."""
        self._watch.stop()
        self._hub.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def answer(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Send changes until the client, the token or this process ends."""
        exchange = Exchange(scope, proto, PATH)
        outcome = await exchange.outcome(self._open(scope))
        if isinstance(outcome, Problem):
            exchange.refuse(outcome, self._allowed_origin(scope))
        else:
            exchange.log(200)
            await self._send(scope, proto, *outcome)

    async def _open(self, scope: Scope) -> tuple[Subscription, Caller]:
        """The stream that is asked for, and who asks; raises the `Problem` that prevents it."""
        try:
            caller = await self._caller(scope)
            return self._hub.open(caller.user_id, _last_version(scope)), caller
        except TooManyStreamsError as error:
            raise (TOO_MANY_STREAMS if error.of_user else NOT_NOW).problem() from None
        except (redis.RedisError, OSError):
            raise NOT_NOW.problem() from None

    async def _caller(self, scope: Scope) -> Caller:
        """Who asks, by header or ticket; raises a 401 `Problem`, or a 429."""
        header = scope.headers.get("authorization")
        ticket = _query(scope, "ticket")
        ask: Callable[[], Caller | None]
        # Both may ask another machine: for keys, or for the ticket.
        if header is not None or not ticket:
            ask = partial(self._context.authenticator.caller, header)
        else:
            ask = partial(self._tickets.redeem, ticket)
        try:
            caller = await asyncio.get_running_loop().run_in_executor(self._pool, ask)
            if caller is None or caller.expires_at <= time.time():
                raise NOT_AUTHENTICATED.problem()
        except Problem:
            require(self._window, f"address {network(_address(scope, self._proxies))}")
            raise
        require(self._window, f"user {caller.user_id}")
        return caller

    async def _send(
        self, scope: Scope, proto: HTTPProtocol, subscription: Subscription, caller: Caller
    ) -> None:
        gone = asyncio.ensure_future(proto.client_disconnect())
        gone.add_done_callback(lambda _: subscription.close())
        try:
            headers = [*_HEADERS, *self._allowed_origin(scope).items()]
            transport = proto.response_stream(200, headers)
            await transport.send_str(_RETRY)
            async for text in texts_of(subscription, caller.expires_at):
                await transport.send_str(text)
        except ProtocolClosed:
            _log.debug("a stream's client went away")
        finally:
            self._hub.close(subscription)
            gone.cancel()

    def _allowed_origin(self, scope: Scope) -> Mapping[str, str]:
        origin = scope.headers.get("origin")
        if origin and origin in self._context.settings.cors_origins:
            return {"access-control-allow-origin": origin, "vary": "Origin"}
        return {}


async def texts_of(subscription: Subscription, ends_at: float) -> AsyncIterator[str]:
    """What a stream sends, until it is closed or its token ends (Unix time).

    A comment comes every so many seconds, however much else does: who waits for one is not let
    down, and a stream on which none comes is dead. The first one comes sooner, at a time of its
    own, so that streams which began together are not all written to at once.
    """
    comment_at = time.monotonic() + COMMENT_SECONDS * random.random()  # noqa: S311 - no secret.
    while not subscription.is_closed and (left := ends_at - time.time()) > 0:
        texts: list[str] = []
        try:
            async with asyncio.timeout(max(0.0, min(comment_at - time.monotonic(), left))):
                texts = await subscription.take()
        except TimeoutError:
            pass  # Nothing came, and what is due by time follows.
        if time.monotonic() >= comment_at:
            texts.append(_STILL_HERE)
            comment_at = time.monotonic() + COMMENT_SECONDS
        if texts:
            yield "".join(texts)


def _address(scope: Scope, proxies: int) -> str:
    """Who asks; where proxies stand before this process, who asked the first of them."""
    told = (scope.headers.get("x-forwarded-for") or "").split(",")
    if proxies and len(told) >= proxies and told[-proxies].strip():
        return told[-proxies].strip()
    return client_address(scope)


def _query(scope: Scope, name: str) -> str:
    return parse_qs(scope.query_string).get(name, [""])[0]


def _last_version(scope: Scope) -> int | None:
    """What the client has seen; None for one that has seen nothing, or nonsense.

    The header goes before: who comes back to the same address has seen more than that says.
    """
    seen = scope.headers.get("last-event-id") or _query(scope, "last_event_id")
    if not (seen.isascii() and seen.isdigit()):
        return None
    return min(int(seen[:20]), _VERSION_MAX)
