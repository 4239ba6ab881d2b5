"""Finds the payment method that a parameter names."""

from sandbox.stripe.api.calls import Call
from sandbox.stripe.cards import card_named
from sandbox.stripe.errors import invalid, no_such
from sandbox.stripe.paying.methods import Method


def find_method(call: Call, method_id: str, param: str) -> Method:
    """The payment method that a parameter names; Stripe's test names make one."""
    card = card_named(method_id)
    if card and method_id.startswith("pm_card_"):
        return call.shop.add_method(card)
    method = call.shop.get(Method, method_id)
    if method is None:
        raise no_such("PaymentMethod", method_id, param)
    if method.detached:
        message = (
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer "
            "attachment, shared with a connected account without Customer attachment, or was "
            "detached from a Customer. It may not be used again."
        )
        raise invalid(message, param)
    return method
