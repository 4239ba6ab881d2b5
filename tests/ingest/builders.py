"""Builders for requests: events, signatures, tokens."""

import json
import time
from typing import Any

import jwt
from stripe import WebhookSignature

SECRET = "whsec_of_the_tests"
JWT_SECRET = "a secret for tests, thirty-two bytes long"
ENVIRONMENT = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "STRIPE_WEBHOOK_SECRET": SECRET,
    "JWT_SECRET": JWT_SECRET,
    "INTAKE": "stream",
}


def an_event(**changes: Any) -> dict[str, Any]:
    """A small event, as Stripe would send it."""
    return {
        "id": "evt_1",
        "object": "event",
        "type": "invoice.paid",
        "created": 1_700_000_000,
        "data": {"object": {"id": "in_1", "object": "invoice"}},
    } | changes


def a_body(**changes: Any) -> bytes:
    """The bytes of a small event."""
    return json.dumps(an_event(**changes)).encode()


def a_thin_body(**changes: Any) -> bytes:
    """A thin event about an invoice, as Stripe posts it."""
    event = {
        "id": "evt_test_1",
        "object": "v2.core.event",
        "type": "v1.invoice.paid",
        "livemode": False,
        "created": "2026-11-20T10:00:00.123Z",
        "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
    }
    return json.dumps({**event, **changes}).encode()


def a_signature(body: bytes, *, secret: str = SECRET, age_seconds: int = 0) -> dict[str, str]:
    """The header that Stripe would send with this body, `age_seconds` ago."""
    timestamp = int(time.time()) - age_seconds
    header = WebhookSignature.generate_signature_header(body.decode(), secret, timestamp)
    return {"Stripe-Signature": header}


def a_token(*, user: str = "user_1", secret: str = JWT_SECRET, **claims: Any) -> str:
    """A token that is valid unless the claims say otherwise; a claim of None is left out."""
    given = {"sub": user, "exp": int(time.time()) + 60} | claims
    present = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(present, secret, algorithm="HS256")


def as_user(user: str = "user_1") -> dict[str, str]:
    """The header that says who is asking."""
    return {"Authorization": f"Bearer {a_token(user=user)}"}
