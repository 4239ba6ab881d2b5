"""The success page of the shop: what it is told, and what Stripe shows of a session behind it."""

from typing import Any

from tests.ingest.shop import Shop
from tests.stripe_objects import a_line, a_subscription, an_invoice


def seen(shop: Shop, session_id: str) -> tuple[str, int, str | None]:
    """Status, tokens and subscription, as the page is told."""
    answer = shop.status(session_id)
    assert answer.status_code == 200, answer.text
    found = answer.get_json()
    assert set(found) == {
        "session_id",
        "status",
        "plan_id",
        "tokens_granted",
        "subscription_id",
    }
    return found["status"], found["tokens_granted"], found["subscription_id"]


def deaf(shop: Shop) -> None:
    """Have Stripe answer nothing more of sessions."""
    for session_id in shop.stripe.sessions:
        shop.stripe.faults[f"GET checkout/sessions/{session_id}"] = [503] * 50


def a_contract(shop: Shop, session_id: str, **changes: Any) -> tuple[dict[str, Any], ...]:
    """The subscription and paid first invoice that a session made, as Stripe shows them."""
    session = shop.stripe.sessions[session_id]
    whose = {"customer": session["customer"], "metadata": session["metadata"]}
    subscription = a_subscription(**whose, **changes)
    invoice = an_invoice(
        [a_line(2_900)],
        metadata=session["metadata"],
        billing_reason="subscription_create",
        customer=session["customer"],
    )
    shop.stripe.objects.update(sub_1=subscription, in_1=invoice)
    session |= {"subscription": "sub_1", "invoice": "in_1"}
    return subscription, invoice
