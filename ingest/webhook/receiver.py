"""The receiver: checks that Stripe signed these bytes, stores them, answers.

On its normal path it asks nobody but the durable store. It never looks further into an event
than its id, type and time; what the event means is found out by a worker, later.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import orjson
from flask import Response, g, request
from stripe import SignatureVerificationError, WebhookSignature

import metrics
from db.bodies import compress
from domain.decode import notices
from domain.events import Delivery
from domain.synthetic_events import by_hand
from ingest.context import ReceiverContext, current_context
from ingest.http import access_log
from ingest.http.problems import Problem
from ingest.http.routes import Routes
from ingest.intake.intake import Intake, NotStoredError, Store
from ingest.webhook import openapi, shadow
from ingest.webhook.schemas import ReceivedSchema
from ingest.webhook.webhook_problems import (
    BODY_BYTES_MAX,
    NOT_AN_EVENT,
    NOT_STORED,
    SECRET_MISSING,
    SIGNATURE_INVALID,
    SIGNATURE_MISSING,
    SIGNATURE_STALE,
    STRIPE_DISABLED,
    TOLERANCE_SECONDS,
    TOO_LARGE,
)

PATH = "/billing/stripe/webhook/"
# Room for some forty signatures; Stripe sends one for each active secret, at most a few.
HEADER_LENGTH_MAX = 4096
NAME_LENGTH_MAX = 255
# The end of the year 9999, which PostgreSQL and Python both still can tell.
CREATED_MAX = 253_402_300_799

RECEIVED = orjson.dumps({"received": True})


class _Data(msgspec.Struct):
    object: msgspec.Raw


class _Envelope(msgspec.Struct):
    """What the receiver reads of an event; the rest is only looked through for valid JSON."""

    id: str
    type: str
    created: int
    data: _Data
    object: str = "event"


class _ThinEnvelope(msgspec.Struct):
    """The same of a thin event, which carries no object."""

    id: str
    type: str
    created: str
    object: Literal["v2.core.event"]


_DECODER = msgspec.json.Decoder(_Envelope)
_THIN_DECODER = msgspec.json.Decoder(_ThinEnvelope)

routes = Routes(
    "webhook", "What Stripe calls.", limited=False, count_refusal=metrics.webhook_refused
)


@dataclass(frozen=True, slots=True)
class Received:
    """What the log may know of an accepted event; `intake` is the store that took it."""

    event_id: str
    event_type: str
    intake: str

    @property
    def log_fields(self) -> Mapping[str, str]:
        """The same, as fields of the log."""
        return {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "intake": self.intake,
        }


def accepted(delivery: Delivery, intake: Intake) -> Received:
    """Store a verified delivery; raises a 503 `Problem` when nothing durable takes it."""
    try:
        store = intake.accept(delivery)
    except NotStoredError as error:
        raise NOT_STORED.problem() from error
    return stored(delivery, store)


def verified(
    body: bytes,
    header: str | None,
    *,
    secrets: Sequence[str],
    request_id: str = "",
    now_seconds: float | None = None,
) -> Delivery:
    """The delivery in a body that Stripe signed, ready to be stored.

    `header` is the `Stripe-Signature` header as it came, `secrets` are tried in turn; a worker
    logs `request_id` again. Raises a `Problem`: 400 when the signature or the body is wrong, 413
    when the body is too large.
    """
    if len(body) > BODY_BYTES_MAX:
        raise TOO_LARGE.problem()
    now = time.time() if now_seconds is None else now_seconds
    verify(body, header, secrets, now)
    return parse(body, received_ms=int(now * 1000), request_id=request_id, signature=header or "")


def stored(delivery: Delivery, store: Store) -> Received:
    """Count a delivery that a store has confirmed; returns what the log may know of it."""
    metrics.event_received(delivery.event_type, store)
    return Received(delivery.event_id, delivery.event_type, store)


def verify(body: bytes, header: str | None, secrets: Sequence[str], now_seconds: float) -> None:
    """Raise a 400 unless one of the secrets signed this body within 300 s of now."""
    if not header:
        raise SIGNATURE_MISSING.problem()
    # The SDK cannot compare other characters, and would take its time over thousands of them.
    if not header.isascii() or len(header) > HEADER_LENGTH_MAX:
        raise SIGNATURE_INVALID.problem()
    text = _decode(body)
    if not any(_signed(text, header, secret) for secret in secrets):
        raise SIGNATURE_INVALID.problem()
    # The SDK takes any timestamp from the future.
    if abs(now_seconds - _timestamp(header)) > TOLERANCE_SECONDS:
        raise SIGNATURE_STALE.problem()


def parse(body: bytes, *, received_ms: int, request_id: str = "", signature: str = "") -> Delivery:
    """The delivery in a verified body; raises a 400 when that is no Stripe event."""
    event_id, event_type, created = _envelope(body)
    if by_hand.is_ours(event_id, event_type):
        # Whoever knows the secret may speak for Stripe, and not for the people here.
        raise _no_event("its id or type is one that only this product gives")
    return Delivery(
        event_id=event_id,
        event_type=event_type,
        created=created,
        received_ms=received_ms,
        body=compress(body),
        request_id=request_id,
        signature=signature,
    )


@routes.post(
    PATH,
    "receiveStripeEvent",
    ReceivedSchema,
    parameters=openapi.PARAMETERS,
    problems=openapi.PROBLEMS,
    requestBody=openapi.BODY,
)
def stripe_webhook() -> Response:
    """Take an event from Stripe; answered 200 once it is on durable storage.

    Duplicates and types that mean nothing here are answered 200 as well.
    """
    here = current_context()
    require_configured(here)
    # Werkzeug refuses a longer Content-Length unread, but cuts off a body that does not tell its
    # length; one byte more than is allowed shows that it was cut.
    request.max_content_length = BODY_BYTES_MAX + 1
    body = request.get_data(cache=False)
    header = request.headers.get("Stripe-Signature")
    delivery = verified(
        body,
        header,
        secrets=here.settings.stripe_webhook_secrets,
        request_id=g.get("request_id", ""),
    )
    if shadow.is_shadow(request.query_string.decode("latin-1")) and shadow.take(here, delivery):
        received = Received(delivery.event_id, delivery.event_type, shadow.STORE)
    else:
        received = accepted(delivery, here.intake)
    access_log.add(received.log_fields)
    return Response(RECEIVED, 200, content_type="application/json")


def require_configured(here: ReceiverContext) -> None:
    """Raise a 503 where Stripe is switched off, or where no secret could verify anything."""
    if not here.settings.stripe_enabled:
        raise STRIPE_DISABLED.problem()
    if not here.settings.stripe_webhook_secrets:
        raise SECRET_MISSING.problem()


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _no_event("it is not UTF-8") from error


def _signed(text: str, header: str, secret: str) -> bool:
    try:
        WebhookSignature.verify_header(text, header, secret)
    except SignatureVerificationError:
        return False
    return True


def _timestamp(header: str) -> int:
    """The timestamp of a verified header, read as the SDK reads it."""
    return next(int(item[2:].split("=")[0]) for item in header.split(",") if item[:2] == "t=")


def _envelope(body: bytes) -> tuple[str, str, int]:
    """An event's id, type and time; raises a 400 that says why the body is none."""
    try:
        event = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _thin_envelope(body)
    if event.object != "event":
        raise _no_event("it is not an event object")
    if not bytes(event.data.object).startswith(b"{"):
        raise _no_event("it carries no data.object")
    return _name(event.id, "id"), _name(event.type, "type"), _created(event.created)


def _thin_envelope(body: bytes) -> tuple[str, str, int]:
    """The same of a thin event; raises a 400 that says why the body is no event of either style."""
    try:
        event = _THIN_DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _parsed_envelope(body)
    milliseconds = notices.milliseconds_of(event.created)
    created = None if milliseconds is None else milliseconds // 1_000
    return _name(event.id, "id"), _name(event.type, "type"), _created(created)


def _parsed_envelope(body: bytes) -> tuple[str, str, int]:
    """The same from the whole body, at five times the cost: finds the first thing that is wrong."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _no_event("it is not valid JSON") from error
    if notices.is_thin(event):
        raise _no_event("it is a thin event without id, type or created time")
    if not isinstance(event, dict) or event.get("object", "event") != "event":
        raise _no_event("it is not an event object")
    data = event.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("object"), dict):
        raise _no_event("it carries no data.object")
    event_id, event_type = _name(event.get("id"), "id"), _name(event.get("type"), "type")
    return event_id, event_type, _created(event.get("created"))


def _name(name: object, member: str) -> str:
    # PostgreSQL stores no NUL.
    if isinstance(name, str) and 0 < len(name) <= NAME_LENGTH_MAX and "\0" not in name:
        return name
    raise _no_event(f"its {member} is missing or malformed")


def _created(created: object) -> int:
    # To isinstance a bool is an int.
    if type(created) is int and 0 <= created <= CREATED_MAX:
        return created
    raise _no_event("its created time is missing or malformed")


def _no_event(why: str) -> Problem:
    return NOT_AN_EVENT.problem(members={"why": why})
