"""Checkout sessions in `setup` mode: a page keeps a card for later, and nothing is sold."""

from dataclasses import dataclass
from typing import Any

from sandbox.simulate.records import HostedSession, Session
from sandbox.simulate.session_objects import hosted_session_object
from sandbox.stripe.paying.setups import Setup

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class SetupSession(HostedSession):
    """One that keeps a card, for a customer or for a guest; `setup` is how far it has come."""

    setup: Setup
    mode: str = "setup"
    currency: str | None = None
    payment_status: str = "no_payment_required"


AnySession = Session | SetupSession


def setup_session_object(session: SetupSession) -> Json:
    """Draw a session as it stands."""
    creation = "if_required" if session.customer.guest else "always"
    own = {
        "currency": session.currency,
        "customer_creation": None if session.customer_given else creation,
        "setup_intent": session.setup.id,
    }
    return hosted_session_object(session, own)
