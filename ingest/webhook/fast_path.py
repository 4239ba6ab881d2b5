"""The way in for what Stripe delivers, on the receiver's event loop.

A request that waits for the disk costs the loop nothing, and those that wait together share one
wait (`ingest.intake.group_commit`, docs/decisions/0018). The Flask view of the same address stands
on the same functions, for whoever serves `wsgi:app` with another server.
"""

import asyncio

import metrics
from ingest.context import ReceiverContext
from ingest.http import request_body
from ingest.http.exchange import Exchange
from ingest.http.problems import Problem
from ingest.http.request_body import BodyReader
from ingest.http.rsgi import HTTPProtocol, Scope
from ingest.intake.group_commit import GroupCommit, TooBusyError
from ingest.intake.intake import NotStoredError
from ingest.webhook import receiver, shadow, webhook_problems

PATHS = frozenset({receiver.PATH, receiver.PATH.rstrip("/")})

# Stands for a header's value that is no ASCII: no signature is.
_NO_ASCII = "\N{REPLACEMENT CHARACTER}"


class WebhookEntry:
    """Answers deliveries on one event loop, good and bad ones."""

    def __init__(self, context: ReceiverContext, bodies: BodyReader) -> None:
        self._context = context
        self._secrets = context.settings.stripe_webhook_secrets
        self._bodies = bodies
        self._group = GroupCommit(context.intake)
        self._shadow = shadow.ShadowEntry(context)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to store what comes."""
        self._group.start(loop)

    def stop(self) -> None:
        """Store what was taken, and no more."""
        self._group.stop()

    async def answer(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Take a delivery; answered 200 once it is on disk."""
        exchange = Exchange(scope, proto, receiver.PATH)
        outcome = await exchange.outcome(self._receive(scope, proto, exchange.request_id))
        if isinstance(outcome, Problem):
            metrics.webhook_refused(outcome.code)
            exchange.refuse(outcome)
        else:
            exchange.answer(200, "application/json", receiver.RECEIVED)
            exchange.log(200, added=outcome.log_fields)

    async def _receive(
        self, scope: Scope, proto: HTTPProtocol, request_id: str
    ) -> receiver.Received:
        receiver.require_configured(self._context)
        body = await self._body(scope, proto)
        delivery = receiver.verified(
            body, _signature(scope), secrets=self._secrets, request_id=request_id
        )
        query = scope.query_string
        if query and shadow.is_shadow(query) and await self._shadow.take(delivery):
            return receiver.Received(delivery.event_id, delivery.event_type, shadow.STORE)
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
        except request_body.TooManyError:
            raise webhook_problems.TOO_BUSY.problem() from None


def _signature(scope: Scope) -> str | None:
    """The `Stripe-Signature` header; the server keeps to itself what is no ASCII."""
    name = "stripe-signature"
    header = scope.headers.get(name)
    return _NO_ASCII if header is None and name in scope.headers else header
