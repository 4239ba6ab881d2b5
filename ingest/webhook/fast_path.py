"""The way in for what Stripe delivers, on the receiver's event loop.

A request that waits for the disk costs the loop nothing, and those that wait together share one
wait (`ingest.intake.group_commit`, docs/decisions/0018). The Flask view of the same address stands
on the same functions, for whoever serves `wsgi:app` with another server.
"""

import asyncio
import time
from collections.abc import Mapping

import metrics
from ingest.context import ReceiverContext
from ingest.http import access_log, problems, request_body, wsgi_bridge
from ingest.http.problems import Problem
from ingest.http.request_body import BodyReader
from ingest.http.rsgi import HTTPProtocol, ProtocolClosed, Scope
from ingest.intake.group_commit import GroupCommit, TooBusyError
from ingest.intake.intake import NotStoredError
from ingest.webhook import receiver, webhook_problems

PATHS = frozenset({receiver.PATH, receiver.PATH.rstrip("/")})

_NOTHING: Mapping[str, str] = {}
_CONTENT = ("content-type", "application/json")
_ID = access_log.HEADER.lower()
# Stands for a header's value that is no ASCII: no signature is.
_NO_ASCII = "\N{REPLACEMENT CHARACTER}"


class WebhookEntry:
    """Answers deliveries on one event loop, good and bad ones."""

    def __init__(self, context: ReceiverContext, bodies: BodyReader) -> None:
        self._context = context
        self._secrets = context.settings.stripe_webhook_secrets
        self._bodies = bodies
        self._group = GroupCommit(context.intake)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to store what comes."""
        self._group.start(loop)

    def stop(self) -> None:
        """Store what was taken, and no more."""
        self._group.stop()

    async def answer(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Take a delivery; answered 200 once it is on disk."""
        began = time.perf_counter()
        request_id = access_log.request_id(scope.headers.get("x-request-id") or "")
        added, problem = _NOTHING, None
        try:
            added = (await self._receive(scope, proto, request_id)).log_fields
            proto.response_bytes(200, [_CONTENT, (_ID, request_id)], receiver.RECEIVED)
        except ProtocolClosed:
            raise
        except Problem as refused:
            problem = refused
        except Exception as error:  # noqa: BLE001 - whatever it is, Stripe is told to send it again.
            problem = problems.of_bug(error)
        if problem:
            metrics.webhook_refused(problem.code)
            problem.headers[access_log.HEADER] = request_id
            wsgi_bridge.respond(proto, problem)
        access_log.answered(
            "POST",
            scope.path,
            problem.status if problem else 200,
            time.perf_counter() - began,
            route=receiver.PATH,
            request_id=request_id,
            added=added,
            code=problem.code if problem else None,
        )

    async def _receive(
        self, scope: Scope, proto: HTTPProtocol, request_id: str
    ) -> receiver.Received:
        receiver.require_configured(self._context)
        body = await self._body(scope, proto)
        delivery = receiver.verified(
            body, _signature(scope), secrets=self._secrets, request_id=request_id
        )
        try:
            store = await self._group.accept(delivery)
        except NotStoredError:
            raise webhook_problems.NOT_STORED.problem() from None
        except TooBusyError:
            raise webhook_problems.TOO_BUSY.problem() from None
        return receiver.stored(delivery, store)

    async def _body(self, scope: Scope, proto: HTTPProtocol) -> bytes:
        try:
            return await self._bodies.read(scope, proto, webhook_problems.BODY_BYTES_MAX)
        except request_body.TooLargeError:
            raise webhook_problems.TOO_LARGE.problem() from None
        except request_body.TooSlowError:
            raise webhook_problems.TOO_SLOW.problem() from None
        except request_body.TooManyError:
            raise webhook_problems.TOO_BUSY.problem() from None


def _signature(scope: Scope) -> str | None:
    """The `Stripe-Signature` header; the server keeps to itself what is no ASCII."""
    name = "stripe-signature"
    header = scope.headers.get(name)
    return _NO_ASCII if header is None and name in scope.headers else header
