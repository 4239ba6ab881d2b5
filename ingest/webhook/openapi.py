"""What OpenAPI says of the webhook: Stripe defines its body, and never reads this."""

from typing import Any

from ingest.http.problems import ProblemType

PARAMETERS: list[dict[str, Any]] = [
    {
        "in": "header",
        "name": "Stripe-Signature",
        "required": True,
        "description": "Stripe's signature of the raw body, made with the webhook secret.",
        "schema": {"type": "string"},
        "example": "t=1772323207,v1=" + 32 * "5e",
    }
]
PROBLEMS = (
    ProblemType(400, "signature_missing", "The Stripe-Signature header is missing."),
    ProblemType(400, "signature_invalid", "The signature does not match."),
    ProblemType(
        400, "signature_stale", "The signature's timestamp is more than 300 s away from now."
    ),
    ProblemType(400, "not_an_event", "The body is not a Stripe event: it is not valid JSON."),
    ProblemType(413, "too_large", "The body is larger than 1048576 bytes."),
    ProblemType(500, "internal_error", "Something went wrong here; it has been logged."),
    ProblemType(503, "stripe_disabled", "Stripe is not enabled."),
    ProblemType(503, "webhook_secret_missing", "No webhook secret is configured."),
    ProblemType(503, "not_stored", "No durable storage takes events at the moment; send it again."),
)
BODY: dict[str, Any] = {
    "required": True,
    "description": "The event as Stripe sends it.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["id", "type", "created", "data"],
                "properties": {
                    "id": {"type": "string"},
                    "type": {"type": "string"},
                    "created": {"type": "integer"},
                    "data": {
                        "type": "object",
                        "required": ["object"],
                        "properties": {"object": {"type": "object"}},
                    },
                },
            },
            "example": {
                "id": "evt_1QkX2gLkdIwHu7ix",
                "object": "event",
                "type": "invoice.paid",
                "created": 1772323207,
                "data": {"object": {"id": "in_1QkX2fLkdIwHu7ixZ", "object": "invoice"}},
            },
        }
    },
}
