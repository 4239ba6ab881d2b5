"""Setup intents: a card is kept for later, and nothing is paid."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.simulate.contract_records import Customer
from sandbox.stripe.cards import Card
from sandbox.stripe.paying.methods import Method, method_object

Json = dict[str, Any]

UNAUTHENTICATED = "setup_intent_authentication_failure"
_UNANSWERED: Json = {
    "code": UNAUTHENTICATED,
    "doc_url": "https://stripe.com/docs/error-codes/setup-intent-authentication-failure",
    "message": "The provided PaymentMethod has failed authentication.",
    "type": "invalid_request_error",
}


@dataclass(slots=True)
class Setup:
    """An attempt to keep a card; `declined` is the method that the bank refused last.

    Its buyer's answer to the bank may be why: then it is `unauthenticated`.
    """

    id: str
    created: int
    customer: Customer | None = None
    method: Method | None = None
    status: str = "requires_payment_method"
    usage: str = "off_session"
    declined: Method | None = None
    canceled_for: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    # Fields as a request stated them; nothing acts on them.
    stated: dict[str, Any] = field(default_factory=dict)
    unauthenticated: bool = False


def setup_object(setup: Setup) -> Json:
    """Draw a setup intent."""
    return {
        "id": setup.id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": setup.canceled_for,
        "client_secret": f"{setup.id}_secret_offline",
        "created": setup.created,
        "customer": setup.customer.id if setup.customer else None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": _error(setup, setup.declined) if setup.declined else None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": dict(setup.metadata),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": setup.method.id if setup.method else None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": _OPTIONS},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": setup.status,
        "usage": setup.usage,
        **setup.stated,
    }


_OPTIONS: Json = {
    "mandate_options": None,
    "network": None,
    "request_three_d_secure": "automatic",
}


def said_of(card: Card) -> Json:
    """What Stripe says of a card that was declined, without whose it was."""
    said: Json = {"code": card.code, "message": card.message, "type": "card_error"}
    said["doc_url"] = f"https://stripe.com/docs/error-codes/{card.code.replace('_', '-')}"
    if card.code == "card_declined":
        said["decline_code"] = card.decline_code or "generic_decline"
    return said


def _error(setup: Setup, declined: Method) -> Json:
    said = _UNANSWERED if setup.unauthenticated else said_of(declined.card)
    return {**said, "payment_method": method_object(declined)}
