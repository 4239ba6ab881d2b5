"""What OpenAPI says of the webhook: Stripe defines its body, and never reads this."""

from typing import Any

from ingest.http import problems
from ingest.webhook import webhook_problems

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
PROBLEMS = (*webhook_problems.ALL, problems.INTERNAL_ERROR)
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
                    "object": {"type": "string"},
                    "type": {"type": "string"},
                    "created": {"type": "integer"},
                    "data": {
                        "type": "object",
                        "required": ["object"],
                        "properties": {"object": {"type": "object", "additionalProperties": True}},
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
